"""Pictures: whole image files of a size that the UI shows, the same each time, whatever is in the tables."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from snake_assets.learning.errors import LearningError
from snake_assets.plots.charts import species_histogram_png, venom_confusion_png
from snake_assets.plots.embedding_map import MOST_PHOTOS, embedding_map_png, photos_to_map
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.embedding.tables import EMBEDDING_VERSION

WIDEST = 820


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("species", [0, 1, 13, 300])
def test_histograms_of_any_number_of_species(species: int):
    counts = pl.DataFrame(
        {
            "class_id": list(range(species)),
            "binomial_name": [f"Aus b{number}" for number in range(species)],
            "venomous": [number % 3 == 0 for number in range(species)],
            "photos": [species - number for number in range(species)],
        },
        schema={"class_id": pl.Int32, "binomial_name": pl.String, "venomous": pl.Boolean, "photos": pl.Int64},
    )
    drawn = species_histogram_png(counts, "photos")
    assert opened(drawn).width <= WIDEST
    assert species_histogram_png(counts, "photos") == drawn


def test_the_confusion_shows_its_counts():
    cells = [(truth, guess) for truth in (False, True) for guess in (False, True)]
    some, none = dict(zip(cells, (9, 1, 2, 3), strict=True)), dict.fromkeys(cells, 0)
    assert opened(venom_confusion_png(some, none)).width <= WIDEST
    assert venom_confusion_png(some, none) != venom_confusion_png(none, none)


def tables(folder: Path, photos: int) -> tuple[Table, Table]:
    """Embeddings of photos of two species in turn; the CLS token says which photo it is."""
    ids, rng = pa.array([f"{n:04}" for n in range(photos)]), np.random.default_rng(0)
    cls = rng.normal(size=(photos, 6)).astype(np.float32)
    cls[:, 0] = np.arange(photos)
    columns = {
        "dinov2": {"class_id": pa.array(np.arange(photos) % 2, pa.int32()), "embedding": cls},
        "dct": {"embedding": cls[:, :3]},
    }
    for name, own in columns.items():
        vectors = own.pop("embedding")
        wide = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        rows = pa.table({"image_id": ids, **own, "embedding": wide})
        with write_table(folder / name, name, "train", rows.schema, {"version": EMBEDDING_VERSION}) as writer:
            writer.write("unit", rows.to_batches(), [])
            writer.commit(["unit"])
    return open_table(folder / "dinov2"), open_table(folder / "dct")


@pytest.mark.parametrize("photos", [1, 8])
def test_a_map_of_a_handful_of_photos(tmp_path: Path, photos: int):
    shown = photos_to_map(*tables(tmp_path, photos), [0])
    assert opened(embedding_map_png(shown, {0: "Aus bus"})).width <= WIDEST


def test_a_map_of_many_photos_shows_some_of_all_of_the_table(tmp_path: Path):
    shown = photos_to_map(*tables(tmp_path, 3 * MOST_PHOTOS), [1])
    assert shown.of_all == {1: (MOST_PHOTOS, 3 * MOST_PHOTOS // 2)}
    photos = shown.vectors["CLS token"][:, 0]
    assert len(photos) == MOST_PHOTOS and (np.diff(photos) > 0).all() and (photos % 2 == 1).all()
    assert photos[0] == 1 and photos[-1] >= 3 * MOST_PHOTOS - 5
    assert (shown.vectors["8x8 DCT of the tokens"][:, 0] == photos).all()


def test_a_map_of_species_that_are_not_there_is_refused(tmp_path: Path):
    with pytest.raises(LearningError, match="7"):
        photos_to_map(*tables(tmp_path, 4), [7])
