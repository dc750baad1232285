"""What the columns of every table mean, and their units; the one place where it is said."""

from collections.abc import Iterable, Mapping

import dagster as dg

# Where a column means something else in one table, its name there is `table.column`.
COLUMNS: Mapping[str, str] = {
    # raw_images
    "path": "Path of the photo below its place, with forward slashes.",
    "place": "Where the path starts: `data` (raw data folder) or `unpacked` (from archives, in the store).",
    "bytes": "Size of the file, in bytes.",
    "modified_ns": "Time of the file's last change, in nanoseconds since 1970 (UTC).",
    # image_table, and carried on from there
    "image_id": "Name of the photo, unique in its split: its path in the official metadata.",
    "observation_id": "The sighting that the photo belongs to, as the official metadata spells it. "
    "Predictions are made per observation.",
    "class_id": "Number of the species in the official lists; none where the split has no labels (test).",
    "binomial_name": "Scientific name of the species; none where the split has no labels.",
    "code": "Country or region of the sighting, as the metadata codes it; none where it does not say.",
    "endemic": "Whether the species lives in that region alone; none where the metadata does not say.",
    "image": "The photo file's own bytes, unchanged: JPEG, PNG or another format that was readable.",
    "width": "Width of the photo as it is shown (turned by its EXIF), in pixels.",
    "height": "Height of the photo as it is shown (turned by its EXIF), in pixels.",
    "sha256": "SHA-256 digest of the photo file's bytes, as hex: the same for exact copies.",
    # crop embeddings
    "region": "SHA-256 digest, as hex, of the photo's digest, the box and the mask that it was cut by.",
    "crop_dct_embeddings.embedding": "The 8x8 lowest coefficients of a 2-D DCT over the token matrix of the "
    "crop, row by row, float32, no unit.",
    # yolo_crops
    "x0": "Left edge of the surest find, as a share of the upright photo's width, 0 to 1.",
    "y0": "Top edge of the surest find, as a share of the upright photo's height, 0 to 1.",
    "x1": "Right edge of the surest find, as a share of the upright photo's width, 0 to 1.",
    "y1": "Bottom edge of the surest find, as a share of the upright photo's height, 0 to 1.",
    "score": "How sure the finder is of it, 0 to 1; 0 where nothing was found, with the whole frame as box.",
    "label": "What the finder calls it, in its own words; empty where nothing was found.",
    "finds": "How many finds there were, of which this is the surest.",
    "mask": "Which pixels belong to the snake, as a PNG of one bit a pixel; none unless SAM found it.",
    # embeddings
    "embedding": "CLS token of the last layer after the final norm, float32, no unit.",
    "dct_embeddings.embedding": "The 8x8 lowest coefficients of a 2-D DCT over the token matrix, row by row, "
    "float32, no unit (values near 20,000 unless `orthonormal_dct` is set).",
    "patch_mean": "Mean of the patch tokens of the last layer after the final norm, float32, no unit.",
    "earlier_cls": "CLS token two layers before the last, after the final norm, float32, no unit.",
    "middle_mean": "Mean of the patch tokens half way through the layers, float32, no unit.",
    # predictions of validation_report
    "validation_report.class_id": "The true species of the observation.",
    "predicted": "class_id of the species that the classifier answered.",
    "probability": "Calibrated probability of that answer, from 0 to 1.",
    "p_venomous": "Calibrated probability that the snake is medically important venomous, from 0 to 1.",
    "top5_class_id": "class_id of the five most probable species, most probable first.",
    "top5_probability": "Their calibrated probabilities, from 0 to 1.",
    # submission
    "submission.class_id": "The species answered for the observation.",
    # species_counts.csv
    "venomous": "Whether the species is medically important venomous (MIVS).",
    "photos": "Number of readable photos of the species.",
    "observations": "Number of observations with a readable photo of the species.",
}


def column_schema(table: str, columns: Iterable[tuple[str, str]]) -> dict[str, dg.TableSchemaMetadataValue]:
    """The metadata entry by which the UI shows a table's columns.

    Args:
        table: name of the table.
        columns: name and type of each column.
    """
    described = [
        dg.TableColumn(name, type=kind, description=COLUMNS.get(f"{table}.{name}", COLUMNS.get(name)))
        for name, kind in columns
    ]
    return {"dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(described))}
