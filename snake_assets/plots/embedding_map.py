"""UMAP of the embeddings of the most photographed species: the paper's Figures 1 and 2."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, DCT, FeatureTable
from snake_assets.plots.charts import MARKERS, PALETTE, WIDEST, new_figure, to_png

SEED = 2024
NEIGHBOURS = 15

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


def embedding_map_png(features: FeatureTable, species: Mapping[int, str]) -> bytes:
    """A panel for the CLS token and one for the DCT; a colour and a marker per species.

    Args:
        features: labelled photos.
        species: class_id -> name of the species to show.

    Raises:
        LearningError: the table holds no photo of these species.
    """
    class_id = features.class_id
    if class_id is None or not np.isin(class_id, list(species)).any():
        wanted = f"of class_id {sorted(species)} " if species else ""
        raise LearningError(f"There is no photo {wanted}to map: choose species of which train has photos.")
    shown = np.isin(class_id, list(species))
    labels = class_id[shown]
    titles = {CLS: "CLS token", DCT: "8x8 DCT of the tokens"}
    figure = new_figure(WIDEST, 4.8)
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    for axes, (block, title) in zip(panels, titles.items(), strict=True):
        points = flatten(features.blocks[block][shown])
        for number, (label, name) in enumerate(species.items()):
            mine = points[labels == label]
            axes.scatter(
                mine[:, 0],
                mine[:, 1],
                s=22,
                alpha=0.75,
                color=PALETTE[number % len(PALETTE)],
                marker=MARKERS[number % len(MARKERS)],
                linewidths=0,
                label=f"{name} ({len(mine)})",
            )
        axes.set_title(f"UMAP of the {title}")
        axes.set_xticks([])
        axes.set_yticks([])
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return to_png(figure)
