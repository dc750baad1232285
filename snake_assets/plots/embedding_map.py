"""UMAP of the embeddings of the most photographed species: the paper's Figures 1 and 2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.plots.charts import MARKERS, PALETTE, WIDEST, new_figure, to_png
from snake_assets.storage.tables.table import Table
from snake_assets.vision.embedding.tables import refuse_other_versions

SEED = 2024
NEIGHBOURS = 15
# Of a species. More dots hide each other, and UMAP takes six times as long for 8,800 photos as for 2,500.
MOST_PHOTOS = 500

Points = npt.NDArray[np.float32]


def flatten(vectors: npt.NDArray[np.float32]) -> Points:
    """Two-dimensional UMAP of standardised vectors [N, D] -> [N, 2]; seeded, so it is the same each time.

    UMAP: McInnes, Healy, Melville, arXiv:1802.03426. With fewer than 5 vectors there is no neighbourhood
    to keep, and the first two standardised columns are given.
    """
    spread = vectors.std(axis=0)
    standardised = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if len(vectors) < 5:
        return np.ascontiguousarray(np.pad(standardised, [(0, 0), (0, 2)])[:, :2], dtype=np.float32)
    import umap

    reducer = umap.UMAP(
        n_neighbors=min(NEIGHBOURS, len(vectors) - 1), random_state=SEED, n_jobs=1, init="pca"
    )
    return np.asarray(reducer.fit_transform(standardised), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class MappedPhotos:
    """Photos to show.

    Attributes:
        class_id: of each, [N].
        vectors: title -> float32 [N, D].
        of_all: class_id -> how many of its photos are shown, and how many there are.
    """

    class_id: npt.NDArray[np.int32]
    vectors: Mapping[str, Points]
    of_all: Mapping[int, tuple[int, int]]


def photos_to_map(dinov2: Table, dct: Table | None, species: Sequence[int]) -> MappedPhotos:
    """The photos of some species; of one with more than MOST_PHOTOS, as many, evenly spread over the table.

    Args:
        dinov2: `dinov2_embeddings` of a labelled split.
        dct: `dct_embeddings` of the same split; None where there is none.
        species: class_ids to show.

    Raises:
        LearningError: there is no photo of these species, or the tables hold other photos.
        StorageError: a shard cannot be read, or another version of the code wrote a table.
    """
    tables = {"CLS token": dinov2, **({"8x8 DCT of the tokens": dct} if dct else {})}
    for table in tables.values():
        refuse_other_versions(table)
    photos = dinov2.read(["image_id", "class_id"])
    class_id = photos["class_id"].to_numpy()
    own = {one: np.flatnonzero(class_id == one) for one in species}
    chosen = {one: rows[_spread(len(rows))] for one, rows in own.items()}
    shown = photos.take(np.sort(np.concatenate([np.empty(0, np.int64), *chosen.values()])))
    if not len(shown):
        wanted = f"of class_id {sorted(species)} " if species else ""
        raise LearningError(f"There is no photo {wanted}to map: choose species of which train has photos.")
    names, vectors = shown["image_id"].to_pylist(), {}
    for title, table in tables.items():
        found = table.matching("image_id", names, ["image_id", "embedding"])
        if found["image_id"].to_pylist() != names:
            raise LearningError(
                f"{table.manifest.table} lacks photos of dinov2_embeddings: materialize both for train again."
            )
        column = found["embedding"].combine_chunks()
        vectors[title] = np.asarray(column.flatten()).reshape(len(names), column.type.list_size)
    of_all = {one: (len(chosen[one]), len(rows)) for one, rows in own.items()}
    return MappedPhotos(shown["class_id"].to_numpy(), vectors, of_all)


def _spread(count: int) -> npt.NDArray[np.int64]:
    shown = min(count, MOST_PHOTOS)
    return np.arange(shown) * count // max(1, shown)


def embedding_map_png(photos: MappedPhotos, species: Mapping[int, str]) -> bytes:
    """A panel for each kind of vectors; a colour and a marker per species.

    Args:
        photos: to show.
        species: class_id -> name.
    """
    figure = new_figure(WIDEST, 4.8)
    panels = figure.subplots(1, len(photos.vectors), squeeze=False)[0]
    for axes, (title, rows) in zip(panels, photos.vectors.items(), strict=True):
        points = flatten(rows)
        for number, (label, name) in enumerate(species.items()):
            mine = points[photos.class_id == label]
            shown, in_all = photos.of_all[label]
            axes.scatter(
                mine[:, 0],
                mine[:, 1],
                s=22,
                alpha=0.75,
                color=PALETTE[number % len(PALETTE)],
                marker=MARKERS[number % len(MARKERS)],
                linewidths=0,
                label=f"{name} ({shown if shown == in_all else f'{shown} of {in_all:,}'})",
            )
        axes.set_title(f"UMAP of the {title}")
        axes.set_xticks([])
        axes.set_yticks([])
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return to_png(figure)
