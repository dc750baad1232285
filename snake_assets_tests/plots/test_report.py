"""The report page: self-contained, escaped, bounded, and whole whatever there is to tell."""

import dataclasses
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from snake_assets.identification.evaluation import Kept, Operation, Stranger
from snake_assets.learning.evaluation.report import Judgement
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.plots.charts import score_chart_png
from snake_assets.plots.photo_sheets import MOST_BYTES, thumbnail
from snake_assets.plots.report import CHARTS, ReportPhotos, draw_charts, report_page
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.learning.evaluation.judged import (
    NAMES,
    TRAIN,
    VAL,
    judged,
    train_table,
    truth_of,
    val_table,
)
from snake_assets_tests.learning.tables import species_table

WRONG = {"val 0": 12, "val 1": 7, "val 3": 12, "val 5": 30}
MARKUP = "<script>alert('x')</script> \"><img src=https://evil.example/x onerror=alert(1)> &amp; {{ 7 * 7 }}"
VOID = {"meta", "img", "br"}


class Read(HTMLParser):
    """What stands in a page: its tags with their attributes, its text, and tags left open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def all_photos(data: bytes) -> ReportPhotos:
    return ReportPhotos(*(dict.fromkeys(table.image_id, data) for table in (VAL, TRAIN)))


def page_of(judgement: Judgement, photos: ReportPhotos | None = None) -> str:
    # Charts take their time to draw and have tests of their own.
    charts = dict.fromkeys(CHARTS, b"a chart")
    return report_page(judgement, charts, all_photos(thumbnail(photo_bytes())) if photos is None else photos)


def test_how_far_answers_can_be_relied_on_is_a_section_of_its_own() -> None:
    kept = Kept(
        promise="answers are right", promised=0.9, achieved=0.93, standard_error=0.01, observations=60
    )
    operation = Operation(
        photos=900,
        observations=570,
        kept=(kept, kept.model_copy(update={"achieved": None, "standard_error": None})),
        set_size=1.25,
        risk_coverage=((0.5, 0.0), (1.0, 0.08)),
        strangers=(Stranger(species="Naja <b>", observations=40, auroc=0.876, refused=0.36),),
        auroc=(0.876, 0.847, 0.904),
        refused=(0.36, 0.261, 0.47),
    )
    page = report_page(judged(), dict.fromkeys(CHARTS, b"a chart"), ReportPhotos({}, {}), operation)
    words = assert_whole(page, 10).words
    for told in ("93.0 %", "none to tell by", "1.25 species", "0.876 (0.847 to 0.904)", "Naja <b>"):
        assert told in words
    assert "relied on" not in assert_whole(page_of(judged())).words


def assert_whole(page: str, count: int = 9) -> Read:
    read = Read(page)
    assert read.open == []
    assert {tag for tag, _ in read.tags}.isdisjoint(
        {"script", "link", "iframe", "object", "embed", "form", "base"}
    )
    for attribute in ("src", "href"):
        for target in read.attributes(attribute):
            assert target.startswith(("data:image/", "#"))
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert "url(" not in page and "@import" not in page
    # Every entry of the table of contents leads to a section, and every section is listed.
    anchors = [target[1:] for target in read.attributes("href") if target.startswith("#")]
    sections = [attributes["id"] for tag, attributes in read.tags if tag == "section"]
    assert set(anchors) == set(sections) and len(sections) == count
    return read


def test_a_whole_page_with_every_chart_and_photo() -> None:
    judgement = judged(WRONG)
    read = assert_whole(page_of(judgement))
    assert "came from review" not in read.words
    reviewed = replace(judgement, reviewed_photos=2)
    assert "2 came from review" in " ".join(assert_whole(page_of(reviewed)).words.split())
    for chart in CHARTS.values():
        assert " ".join(chart.caption.split()) in read.words
    images = [attributes for tag, attributes in read.tags if tag == "img"]
    # Both photos of the dangerous mistake, then of each mistake both and its five nearest.
    assert len(images) == len(CHARTS) + 2 + 4 * (2 + 5)
    assert all(attributes["alt"] for attributes in images)
    for name in NAMES.values():
        assert name in read.words
    assert f"{judgement.scores.track1:.2f}" in read.words
    assert "1 of 6 venomous snakes taken for harmless" in read.words
    without = page_of(judgement, ReportPhotos({}, {}))
    assert assert_whole(without).words.count("no picture") == 2 + 4 * (2 + 5)
    # The same judgement gives the same page, without a date.
    assert page_of(judged(WRONG), ReportPhotos({}, {})) == without
    assert not re.search(r"20\d\d-\d\d-\d\d", without)


def test_where_venom_is_not_known_the_page_says_so_once_and_nothing_of_it_after() -> None:
    judgement = judged({**WRONG, "lost 1": 12}, truth=truth_of(VAL) | {"lost 1": 3}, venomous={3: False})
    read = assert_whole(page_of(judgement), count=8)
    assert read.words.count(judgement.venom_gap) == 1
    assert "The surest mistakes" in read.words and "Answered by the most frequent species" in read.words
    said = read.words.replace(judgement.venom_gap, "")
    # A species whose status is known may still be called harmless.
    for left_out in ("Track", "track1", "P1", "venomous", "costly", "Right:"):
        assert left_out not in said
    assert draw_charts(judgement).keys() == {"scores_with_intervals", "reliability"}


def test_markup_in_names_and_ids_is_escaped() -> None:
    def renamed(table: FeatureTable) -> FeatureTable:
        return dataclasses.replace(
            table,
            image_id=[f"{name}{MARKUP}" for name in table.image_id],
            observation_id=[f"{name}{MARKUP}" for name in table.observation_id],
        )

    val = val_table()
    val.sha256[6] = TRAIN.sha256[3]
    judgement = judged(
        {f"{name}{MARKUP}": species for name, species in WRONG.items()},
        train=renamed(TRAIN),
        val=renamed(val),
        names={class_id: f"{name} {MARKUP}" for class_id, name in NAMES.items()},
    )
    for photos in (
        ReportPhotos({}, {}),
        ReportPhotos(*[dict.fromkeys(judgement.mistakes[0].photos, b"x")] * 2),
    ):
        page = page_of(judgement, photos)
        read = assert_whole(page)
        assert "<script" not in page
        assert read.text.count(MARKUP) > 20
        assert "https://evil.example" not in " ".join(read.attributes("src"))


def test_a_bad_day_on_the_whole_of_snakeclef_stays_small() -> None:
    noise = bytes(np.random.default_rng(0).integers(0, 256, MOST_BYTES, dtype=np.uint8))
    species = tuple(range(1784))
    venomous = {class_id: class_id % 2 == 1 for class_id in species}
    train = species_table(species[:100], observations=2, photos=1, spread=1.5)
    val = species_table(species[:100], observations=2, photos=2, spread=1.5, seed=1, prefix="val")
    val = dataclasses.replace(val, sha256=[train.sha256[row % len(train)] for row in range(len(val))])
    truth = truth_of(val) | {f"lost {class_id}": class_id for class_id in species}
    judgement = judged(
        {name: (class_id + 1) % 1784 for name, class_id in truth.items()},
        train=train,
        val=val,
        truth=truth,
        venomous=venomous,
        names={class_id: f"Genusname speciesname{class_id}" for class_id in species},
    )
    photos = ReportPhotos(*(dict.fromkeys(table.image_id, noise) for table in (val, train)))
    page = report_page(judgement, draw_charts(judgement), photos)
    read = assert_whole(page)
    assert len(page.encode()) < 3_000_000
    assert "all stand in species.csv" in read.words and "of 1,784" in read.words
    assert "all stand in predictions.parquet" in read.words


@pytest.mark.parametrize(
    ("judgement", "told"),
    [
        (judged(), ["There is no mistake to show.", "No venomous snake was taken for a harmless one."]),
        (
            judged({"val 6": 3, "val 7": 3, "val 8": 3}, train=train_table(classes=(3, 7, 30))),
            ["Species of val without a photo in train", "Train has no photo of these species of val", "12"],
        ),
        (
            judged(WRONG, val=dataclasses.replace(VAL, sha256=TRAIN.sha256[: len(VAL)])),
            [
                "24 photos of 12 observations with a copy or near copy in train (24 the same file)",
                "24 with the very same file",
                "but in train it is",
            ],
        ),
        (
            judged({"lost 1": 3}, truth=truth_of(VAL) | {"lost 1": 7, "lost 2": 3}),
            ["2 observations had no photo that could be read", "lost 1, lost 2", "no readable photo"],
        ),
    ],
    ids=["no mistake", "unknown species", "all leak", "unreadable"],
)
def test_poor_splits_are_told_as_they_are(judgement: Judgement, told: list[str]) -> None:
    read = assert_whole(page_of(judgement))
    for words in told:
        assert words in read.words


WIDEST, LARGEST = 1000, 60_000
ALL_WRONG = {name: 3 if species != 3 else 12 for name, species in truth_of(VAL).items()}
ONE = species_table(classes=(7,), observations=1, photos=1, prefix="val")


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
    assert draw_charts(judgement) == charts
    other = draw_charts(judged(dict.fromkeys(truth_of(VAL), 30)))
    assert all(charts[name] != other[name] for name in CHARTS)


def test_many_ways_of_answering_and_names_that_are_no_formula() -> None:
    found = judged()
    strange = [replace(found.variants[0], name=f"$\\frac{{{number}$ {'long ' * 40}") for number in range(14)]
    few, many = (opened(score_chart_png(ways, found.chance)) for ways in (found.variants[:2], strange))
    assert few.width == many.width <= WIDEST
    assert few.height < many.height
