"""The validation report as one self-contained HTML page: no script, nothing fetched, pictures inline."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import polars as pl
from jinja2 import Environment, StrictUndefined
from PIL import Image

from snake_assets.identification.evaluation import Operation
from snake_assets.learning.evaluation.leakage import NEAR_COSINE
from snake_assets.learning.evaluation.mistakes import MISTAKES_EXPLAINED
from snake_assets.learning.evaluation.report import Judgement
from snake_assets.plots.charts import (
    reliability_png,
    score_chart_png,
    venom_confusion_png,
)
from snake_assets.plots.photo_sheets import abbreviated, sheet, thumbnails, tile_of
from snake_assets.storage.tables.table import Table

# The charts of the validation report, each with the words that say how to read it.


@dataclass(frozen=True)
class Chart:
    """A chart's file name in the bundle, what it shows, and how to read it."""

    file: str
    title: str
    caption: str


PANELS_TOLD = "Left: that the most probable species is the right one. Right: that the snake is venomous. "
CHARTS: Mapping[str, Chart] = {
    "scores_with_intervals": Chart(
        "scores.png",
        "Scores of each way of answering, with 95 % intervals",
        "Each line is a way of answering. The mark is its score, the bar its 95 % interval: how far the "
        "score moves when the observations are drawn again at random, 1,000 times. Further right is better. "
        "Where two bars overlap, the difference may be luck; the table compares the ways on the same draws.",
    ),
    "venomous_against_harmless": Chart(
        "venomous_against_harmless.png",
        "Venomous against harmless",
        "Rows say what the snake was, columns what it was taken for. The cell at the lower left is the "
        "mistake that can cost a life: a venomous snake called harmless. “Wrong species” counts the "
        "observations of a cell whose species is wrong, also where the venom status is right.",
    ),
    "reliability": Chart(
        "reliability.png",
        "Can the probabilities be believed?",
        f"Observations are put in ten bins by the probability that was stated. {PANELS_TOLD}A bar shows how "
        "often that was so. Bars that end at the dashed line mean that 80 % comes true in 80 of 100 cases, "
        "bars below it that "
        "too much was promised. Bins with few observations (grey, below) have long intervals and say little. "
        "The expected calibration error is the mean distance of the dots from the line.",
    ),
}


def draw_charts(judgement: Judgement) -> dict[str, bytes]:
    """The charts of a judgement as PNG files, by the names of `CHARTS`: all that venom, if known, allows."""
    charts = {"scores_with_intervals": score_chart_png(judgement.variants, judgement.chance)}
    stated = {"the most probable species is right": judgement.confidence}
    if venom := judgement.venom:
        charts["venomous_against_harmless"] = venom_confusion_png(venom.counts, venom.errors)
        stated["the snake is venomous"] = venom.confidence
    return charts | {"reliability": reliability_png(stated)}


# Which photos the validation report shows, and their thumbnails.


# What keeps the page small, however much went wrong: at most 160 thumbnails of 8 KiB.
DANGEROUS_SHOWN, MISTAKES_SHOWN, LEAKS_SHOWN = 24, MISTAKES_EXPLAINED, 16
PHOTOS_OF_A_MISTAKE = 2


@dataclass(frozen=True)
class ReportPhotos:
    """Thumbnails by image_id, of val and of train; a photo that cannot be decoded has none."""

    val: Mapping[str, bytes]
    train: Mapping[str, bytes]


def report_photos(judgement: Judgement, val_images: Table, train_images: Table) -> ReportPhotos:
    """Thumbnails of the photos that the page shows, out of the two splits' `image_table`."""
    mistakes = judgement.mistakes[:MISTAKES_SHOWN]
    shown = [*judgement.dangerous[:DANGEROUS_SHOWN], *mistakes]
    leaks = judgement.leakage.leaks[:LEAKS_SHOWN]
    of_val = [
        *(photo for mistake in shown for photo in mistake.photos[:PHOTOS_OF_A_MISTAKE]),
        *(leak.image_id for leak in leaks),
    ]
    of_train = [
        *(neighbour.image_id for mistake in mistakes for neighbour in mistake.nearest),
        *(leak.train_image_id for leak in leaks),
    ]
    return ReportPhotos(thumbnails(val_images, of_val), thumbnails(train_images, of_train))


TEMPLATE = "report_page.html"
SPECIES_SHOWN = 300
NAMES_SHOWN = 30
LIMITS = {
    "dangerous": DANGEROUS_SHOWN,
    "mistakes": MISTAKES_SHOWN,
    "leaks": LEAKS_SHOWN,
    "photos": PHOTOS_OF_A_MISTAKE,
    "names": NAMES_SHOWN,
}


def report_page(
    judgement: Judgement,
    charts: Mapping[str, bytes],
    photos: ReportPhotos,
    operation: Operation | None = None,
) -> str:
    """The page as HTML. Every name and id in it is escaped, whatever the metadata holds.

    Args:
        judgement: what the page tells.
        charts: PNG files by the names of `CHARTS`.
        photos: thumbnails; a photo without one shows as a grey box.
        operation: how far answers can be relied on; None leaves the section out.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=lambda share: f"{100 * share:.1f} %",
        number=lambda value: f"{value:,}",
        inline=lambda data, kind: f"data:image/{kind};base64,{base64.b64encode(data).decode()}",
        counted=lambda count, what: f"{count:,} {what}{'' if count == 1 else 's'}",
        interval=lambda bounds, digits: "\u2013".join(f"{bound:,.{digits}f}" for bound in bounds),
        signed_interval=lambda bounds: " to ".join(f"{bound:+.1f}" for bound in bounds).replace(
            "-", "\u2212"
        ),
    )
    species = _worst_first(judgement.species)
    return environment.from_string(files(__package__).joinpath(TEMPLATE).read_text()).render(
        judgement=judgement,
        venom=judgement.venom,
        species=species.head(SPECIES_SHOWN).to_dicts(),
        species_in_all=species.height,
        charts={name: (CHARTS[name], png) for name, png in charts.items()},
        panels_told=PANELS_TOLD,
        photos=photos,
        limits=LIMITS,
        near_cosine=NEAR_COSINE,
        operation=operation,
    )


def _worst_first(species: pl.DataFrame) -> pl.DataFrame:
    """Species with observations first, least F1 first, most observations first; then the rest."""
    return species.sort(
        [pl.col("val_observations") == 0, "f1", "val_observations", "class_id"],
        descending=[False, False, True, False],
        nulls_last=True,
    )


# The page has more mistakes; the sheet of these is in the event log.
SHEET_MISTAKES, SHEET_NEIGHBOURS, SHEET_SIDE = 2, 3, 112


def mistake_sheet(judgement: Judgement, photos: ReportPhotos) -> bytes:
    """A WebP with a row for each of the most costly mistakes: its photo, then the nearest of train."""

    def name(class_id: int) -> str:
        return abbreviated(judgement.names.get(class_id, str(class_id)))

    tiles = []
    for mistake in judgement.mistakes[:SHEET_MISTAKES]:
        wrong = f"{name(mistake.truth)} → {name(mistake.predicted)}"
        row = [(photos.val, mistake.photos[0] if mistake.photos else "", wrong)]
        nearest = mistake.nearest[:SHEET_NEIGHBOURS]
        row += [(photos.train, one.image_id, f"{one.cosine:.2f} {name(one.class_id)}") for one in nearest]
        row += [(photos.train, "", "")] * (1 + SHEET_NEIGHBOURS - len(row))
        for split, image_id, caption in row:
            small = split.get(image_id)
            photo = Image.open(io.BytesIO(small)) if small else None
            tiles.append((tile_of(photo, SHEET_SIDE), caption))
    return sheet(tiles, SHEET_SIDE, 1 + SHEET_NEIGHBOURS, quality=35)


# All that a person looks at in the validation report, as files.


PAGE_FILE, MISTAKES_FILE = "report.html", "mistakes.webp"


def write_pictures(
    judgement: Judgement,
    val_images: Table,
    train_images: Table,
    folder: Path,
    operation: Operation | None = None,
) -> None:
    """Write report.html, the charts of `CHARTS` and mistakes.webp into an existing folder.

    Args:
        judgement: what is told.
        val_images: `image_table` of val, for the photos of mistakes.
        train_images: that of train, for their nearest photos.
        folder: to write into.
        operation: as for `report_page`.

    Raises:
        StorageError: a shard cannot be read.
    """
    photos, charts = report_photos(judgement, val_images, train_images), draw_charts(judgement)
    for name, png in charts.items():
        (folder / CHARTS[name].file).write_bytes(png)
    (folder / MISTAKES_FILE).write_bytes(mistake_sheet(judgement, photos))
    (folder / PAGE_FILE).write_text(report_page(judgement, charts, photos, operation), encoding="utf-8")
