"""The validation report as one self-contained HTML page: no script, nothing fetched, pictures inline."""

import base64
from collections.abc import Mapping
from importlib.resources import files

import polars as pl
from jinja2 import Environment, StrictUndefined

from snake_assets.figures.photo_groups import photo_range
from snake_assets.figures.report_charts import CHARTS
from snake_assets.figures.report_photos import (
    DANGEROUS_SHOWN,
    LEAKS_SHOWN,
    MISTAKES_SHOWN,
    PHOTOS_OF_A_MISTAKE,
    ReportPhotos,
)
from snake_assets.learning.leakage import NEAR_COSINE
from snake_assets.learning.report import Judgement

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


def report_page(judgement: Judgement, charts: Mapping[str, bytes], photos: ReportPhotos) -> str:
    """The page as HTML. Every name and id in it is escaped, whatever the metadata holds.

    Args:
        judgement: what the page tells.
        charts: PNG files by the names of `CHARTS`.
        photos: thumbnails; a photo without one shows as a grey box.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=lambda share: f"{100 * share:.1f} %",
        number=lambda value: f"{value:,}",
        inline=lambda data, kind: f"data:image/{kind};base64,{base64.b64encode(data).decode()}",
        counted=lambda count, what: f"{count:,} {what}{'' if count == 1 else 's'}",
        photo_range=photo_range,
        interval=lambda bounds, digits: "\u2013".join(f"{bound:,.{digits}f}" for bound in bounds),
        signed_interval=lambda bounds: " to ".join(f"{bound:+.1f}" for bound in bounds).replace(
            "-", "\u2212"
        ),
    )
    species = _worst_first(judgement.species)
    return environment.from_string(files(__package__).joinpath(TEMPLATE).read_text()).render(
        judgement=judgement,
        species=species.head(SPECIES_SHOWN).to_dicts(),
        species_in_all=species.height,
        charts={name: (chart, charts[name]) for name, chart in CHARTS.items()},
        photos=photos,
        limits=LIMITS,
        near_cosine=NEAR_COSINE,
    )


def _worst_first(species: pl.DataFrame) -> pl.DataFrame:
    """Species with observations first, least F1 first, most observations first; then the rest."""
    return species.sort(
        [pl.col("val_observations") == 0, "f1", "val_observations", "class_id"],
        descending=[False, False, True, False],
        nulls_last=True,
    )
