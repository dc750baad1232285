"""Pictures: whole image files of a size that the UI shows, the same each time, whatever is in the tables."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.history import HISTORY_FILE, Scored, read_history, write_history
from snake_assets.plots.charts import history_chart_png, species_histogram_png, venom_confusion_png
from snake_assets.plots.embedding_map import MOST_PHOTOS, embedding_map_png, photos_to_map
from snake_assets.storage.tables.table import Table
from snake_assets.vision.embedding.tables import EMBEDDING_VERSION
from snake_assets_tests.written import vector_rows, write

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


def test_a_histogram_shows_which_species_have_no_venom_status():
    venomous = ([True, False, True], [True, False, None], [None] * 3)
    drawn = [
        species_histogram_png(
            pl.DataFrame(
                {
                    "class_id": [1, 2, 3],
                    "binomial_name": ["Aus a", "Bus b", None],
                    "venomous": told,
                    "photos": [9, 5, 2],
                },
                schema_overrides={"venomous": pl.Boolean},
            ),
            "photos",
        )
        for told in venomous
    ]
    assert len(set(drawn)) == 3


def test_the_confusion_shows_its_counts():
    cells = [(truth, guess) for truth in (False, True) for guess in (False, True)]
    some, none = dict(zip(cells, (9, 1, 2, 3), strict=True)), dict.fromkeys(cells, 0)
    assert opened(venom_confusion_png(some, none)).width <= WIDEST
    assert venom_confusion_png(some, none) != venom_confusion_png(none, none)


def tables(folder: Path, photos: int) -> list[Table]:
    """Embeddings of photos of three species in turn; the first number says which photo it is."""
    vectors = np.random.default_rng(0).normal(size=(photos, 6))
    vectors[:, 0] = np.arange(photos)
    made = {"version": EMBEDDING_VERSION}
    return [write(folder / name / "train", [vector_rows(vectors)], made) for name in ("dinov2", "dct")]


@pytest.mark.parametrize("photos", [1, 8])
def test_a_map_of_a_handful_of_photos_but_of_no_species_that_is_not_there(tmp_path: Path, photos: int):
    embedded = tables(tmp_path, photos)
    assert opened(embedding_map_png(photos_to_map(*embedded, [0]), {0: "Aus bus"})).width <= WIDEST
    with pytest.raises(LearningError, match="7"):
        photos_to_map(*embedded, [7])


def test_a_map_of_many_photos_shows_some_of_all_of_the_table(tmp_path: Path):
    shown = photos_to_map(*tables(tmp_path, 6 * MOST_PHOTOS), [1])
    assert shown.of_all == {1: (MOST_PHOTOS, 2 * MOST_PHOTOS)}
    photos = shown.vectors["CLS token"][:, 0]
    assert len(photos) == MOST_PHOTOS and (np.diff(photos) > 0).all() and (photos % 3 == 1).all()
    assert photos[0] == 1 and photos[-1] >= 6 * MOST_PHOTOS - 8
    assert (shown.vectors["8x8 DCT of the tokens"][:, 0] == photos).all()


def history(reports: int) -> tuple[Scored, ...]:
    scores = {"observations": 3, "track1": 61.5, "track2": 4.0, "f1": 55.0, "accuracy": 66.67}
    date = "2024-05-06T07:08:09+00:00"
    return tuple(Scored(date=date, classifier=f"{number:064x}", **scores) for number in range(reports))


def test_a_history_comes_back_from_its_file_and_a_damaged_one_says_what_to_do(tmp_path: Path) -> None:
    assert read_history(tmp_path) == ()
    write_history(history(3), tmp_path)
    assert read_history(tmp_path) == history(3)
    (tmp_path / HISTORY_FILE).write_text('[{"date": 1}]')
    with pytest.raises(LearningError, match="remove it"):
        read_history(tmp_path)


def test_charts_of_one_and_of_many_reports() -> None:
    one, two, many = (history_chart_png(history(reports)) for reports in (1, 2, 80))
    assert len({one, two, many}) == 3
    assert {Image.open(io.BytesIO(png)).size for png in (one, two, many)} == {(820, 360)}
    assert history_chart_png(history(2)) == two
    without = {"track1": None, "track2": None}
    not_known, again = history(1)[0].model_copy(update=without), history(2)
    assert len({one, *(history_chart_png(reports) for reports in ([not_known], [not_known, *again]))}) == 3
