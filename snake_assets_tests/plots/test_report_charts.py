"""The report's charts and sheets: whole image files that the UI can show, whatever there is to tell."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from snake_assets.learning.evaluation.report import Judgement
from snake_assets.plots.charts import score_chart_png
from snake_assets.plots.photo_sheets import thumbnail
from snake_assets.plots.report import CHARTS, ReportPhotos, draw_charts, mistake_sheet
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.learning.evaluation.judged import VAL, judged, truth_of
from snake_assets_tests.learning.tables import species_table

WIDEST, LARGEST = 1000, 60_000
ALL_WRONG = {name: 3 if species != 3 else 12 for name, species in truth_of(VAL).items()}
ONE = species_table(classes=(7,), observations=1, photos=1, prefix="val")
NO_PHOTOS = ReportPhotos({}, {})


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize(
    "judgement",
    [
        judged(),
        judged(ALL_WRONG),
        judged(val=ONE),
        judged(ALL_WRONG, venomous=dict.fromkeys((3, 7, 12, 30), False)),
    ],
    ids=["no mistake", "all wrong", "one observation", "nothing venomous"],
)
def test_charts_of_any_judgement(judgement: Judgement) -> None:
    charts = draw_charts(judgement)
    assert charts.keys() == CHARTS.keys()
    for png in charts.values():
        assert opened(png).width <= WIDEST
        assert len(png) < LARGEST


def test_charts_show_what_is_judged() -> None:
    right, again, wrong = (draw_charts(judged(answered)) for answered in ({}, {}, ALL_WRONG))
    assert right == again
    assert all(right[name] != wrong[name] for name in CHARTS)


def test_many_ways_of_answering_and_names_that_are_no_formula() -> None:
    found = judged()
    strange = [replace(found.variants[0], name=f"$\\frac{{{number}$ {'long ' * 40}") for number in range(14)]
    few, many = (opened(score_chart_png(ways, found.chance)) for ways in (found.variants[:2], strange))
    assert few.width == many.width <= WIDEST
    assert few.height < many.height


def test_every_chart_says_how_to_read_it_and_has_a_file_of_its_own() -> None:
    assert all(len(chart.caption) > 150 for chart in CHARTS.values())
    assert len({chart.file for chart in CHARTS.values()}) == len(CHARTS)


def test_the_sheet_of_mistakes_shows_two_with_photos_where_there_are_any() -> None:
    judgement = judged({"val 0": 7})
    (mistake,) = judgement.mistakes
    small = thumbnail(photo_bytes())
    photos = ReportPhotos({mistake.photos[0]: small}, {one.image_id: small for one in mistake.nearest})
    with_photos, without, both, none = (
        opened(mistake_sheet(found, shown))
        for found, shown in (
            (judgement, photos),
            (judgement, NO_PHOTOS),
            (judged(ALL_WRONG), NO_PHOTOS),
            (judged(), NO_PHOTOS),
        )
    )
    assert with_photos.tobytes() != without.tobytes()
    assert none.size == without.size and both.height > without.height and both.width <= WIDEST
