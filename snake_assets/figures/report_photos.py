"""Which photos the validation report shows, and their thumbnails."""

from collections.abc import Mapping
from dataclasses import dataclass

from snake_assets.figures.thumbnails import thumbnails
from snake_assets.learning.report import MISTAKES_EXPLAINED, Judgement
from snake_assets.storage.tables import Table

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
