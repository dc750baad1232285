"""All that a person looks at in the validation report, as files."""

from pathlib import Path

from snake_assets.figures.mistake_sheet import mistake_sheet
from snake_assets.figures.report_charts import CHARTS, draw_charts
from snake_assets.figures.report_page import report_page
from snake_assets.figures.report_photos import report_photos
from snake_assets.learning.report import Judgement
from snake_assets.storage.tables import Table

PAGE_FILE, MISTAKES_FILE = "report.html", "mistakes.webp"


def write_pictures(judgement: Judgement, val_images: Table, train_images: Table, folder: Path) -> None:
    """Write report.html, the charts of `CHARTS` and mistakes.webp into an existing folder.

    Args:
        judgement: what is told.
        val_images: `image_table` of val, for the photos of mistakes.
        train_images: that of train, for their nearest photos.
        folder: to write into.

    Raises:
        StorageError: a shard cannot be read.
    """
    photos, charts = report_photos(judgement, val_images, train_images), draw_charts(judgement)
    for name, png in charts.items():
        (folder / CHARTS[name].file).write_bytes(png)
    (folder / MISTAKES_FILE).write_bytes(mistake_sheet(judgement, photos))
    (folder / PAGE_FILE).write_text(report_page(judgement, charts, photos), encoding="utf-8")
