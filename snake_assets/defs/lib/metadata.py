"""What assets say of themselves: metadata in the UI, and in the log how far a step is."""

import base64
import io
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from PIL import Image

from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.manifest import Manifest
from snake_assets.storage.tables.table import Table
from snake_assets.vision.inference.runner import PassRun, peak_memory_bytes

# What the columns of every table mean, and their units; the one place where it is said.


# Where a column means something else in one table, its name there is `table.column`.
COLUMNS: Mapping[str, str] = {
    # raw_images
    "path": "Path of the file below its place, with forward slashes; bytes that are not UTF-8 as \\xff.",
    "place": "Where the path starts: `data` (raw data folder) or `unpacked` (from archives, in the store).",
    "bytes": "Size of the file, in bytes.",
    "modified_ns": "Time of the file's last change, in nanoseconds since 1970 (UTC).",
    "fault": "Why it cannot be read (name_not_utf8, link_outside, link_broken, not_a_file); else empty.",
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
    "dct": "The 8x8 lowest coefficients of a 2-D DCT over the token matrix, row by row, float32, no unit.",
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
    "float32, no unit (values near 20,000).",
    "patch_mean": "Mean of the patch tokens of the last layer after the final norm, float32, no unit.",
    "earlier_cls": "CLS token two layers before the last, after the final norm, float32, no unit.",
    "middle_mean": "Mean of the patch tokens half way through the layers, float32, no unit.",
    # predictions of validation_report
    "validation_report.class_id": "The true species of the observation.",
    "predicted": "class_id of the species that the classifier answered.",
    "probability": "Calibrated probability of that answer, from 0 to 1.",
    "p_venomous": "Calibrated probability that the snake is medically important venomous, from 0 to 1; "
    "empty where it is not known which species are.",
    "top5_class_id": "class_id of the five most probable species, most probable first.",
    "top5_probability": "Their calibrated probabilities, from 0 to 1.",
    # identifications
    "identifications.path": "Path of the photo below the inbox, with forward slashes.",
    "identifications.observation_id": "The same: each photo is answered by itself.",
    "identifications.sha256": "SHA-256 digest of the content that was answered; none where there was none.",
    "answer": "A species, a genus, `venomous, species unsure` or `unknown`; empty where it is unreadable.",
    "level": "How far the answer goes: species, genus, venomous_unsure, unknown or unreadable.",
    "prediction_set": "Species that hold the true one as often as the package promises, likeliest first.",
    "top_k": "The five likeliest species with their calibrated probabilities.",
    "look_alikes": "The nearest photos of the package's gallery: species, cosine, file, whether venomous.",
    "error": "Why the photo cannot be read; else empty.",
    # submission
    "submission.class_id": "The species answered for the observation.",
    # species_counts.csv
    "venomous": "Whether the species is medically important venomous (MIVS); empty where that is not known.",
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


SHOWN = 20
MARKUP = re.compile(r"[\\`*<>\[\]!|&]")


def table_metadata(table: Table) -> dict[str, dg.MetadataValue]:
    """Rows, bytes, rejects and whereabouts of a committed table."""
    manifest = table.manifest
    return {
        "dagster/row_count": dg.MetadataValue.int(manifest.rows_out),
        "rejects": dg.MetadataValue.int(len(manifest.rejects)),
        "rejected": dg.MetadataValue.md(_reject_lines(manifest)),
        "bytes": dg.MetadataValue.int(manifest.bytes),
        "shards": dg.MetadataValue.int(len(manifest.shards)),
        "folder": dg.MetadataValue.path(str(table.folder)),
        "fingerprint": dg.MetadataValue.text(manifest.fingerprint),
        **column_schema(manifest.table, [(field.name, str(field.type)) for field in table.schema]),
    }


def picture(image: bytes, alt: str, kind: str = "png") -> dg.MarkdownMetadataValue:
    """A picture that the UI shows inline; `image` is the encoded file.

    Hand it to `context.add_asset_metadata`: the metadata of a result are in the event log twice. A PNG goes
    there as a WebP of the same pixels, which has a quarter fewer bytes.
    """
    if kind == "png":
        image, kind = _as_webp(image), "webp"
    return dg.MetadataValue.md(f"![{alt}](data:image/{kind};base64,{base64.b64encode(image).decode()})")


def _as_webp(png: bytes) -> bytes:
    encoded = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(encoded, "WEBP", lossless=True, quality=50, method=4)
    return encoded.getvalue()


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A small table that the UI shows as one."""
    lines = [header, ["---"] * len(header), *([_plain(cell) for cell in row] for row in rows)]
    return dg.MetadataValue.md("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


def some_of(names: Sequence[object]) -> dg.MarkdownMetadataValue:
    """A count and the first few of a list that may be long."""
    shown = ", ".join(f"`{_quoted(name)}`" for name in names[:SHOWN])
    more = " …" if len(names) > SHOWN else ""
    return dg.MetadataValue.md(f"{len(names)}: {shown}{more}" if names else "none")


def data_version(digests: Mapping[str, str]) -> dg.DataVersion:
    """The version of what an asset holds now, from the content digests of its files."""
    return dg.DataVersion(fingerprint(dict(digests))[:16])


def split_version(context: dg.AssetExecutionContext, digests: Mapping[str, str]) -> dg.DataVersion | None:
    """The version of a partition, from the content digest of its split.

    Dagster takes one version for all partitions of a run, which would be a lie for several: then None.
    """
    if len(context.partition_keys) != 1 or not digests:
        return None
    return data_version({"content": next(iter(digests.values()))})


def _plain(cell: object) -> str:
    """Text of the data as Markdown that shows it and does nothing: no link, no picture, no other cell."""
    return MARKUP.sub(r"\\\g<0>", " ".join(str(cell).split()))


def _quoted(name: object) -> str:
    return " ".join(str(name).split()).replace("`", "'")


def _reject_lines(manifest: Manifest) -> str:
    lines = [
        f"- `{_quoted(reject.image_id)}`: {reject.reason}, {_plain(reject.detail)}"
        for reject in manifest.rejects
    ]
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"- … and {len(lines) - SHOWN} more in rejects.parquet"]
    return "\n".join(lines) or "none"


# What assets say of a pass over photos.


def pass_metadata(run: PassRun) -> dict[str, Any]:
    """How many photos, how fast, where the time went, on what."""
    on_device = (
        {"peak_device_memory_mb": round(run.peak_device_bytes / 2**20)} if run.peak_device_bytes else {}
    )
    return {
        "photos_computed": run.computed,
        "rows_copied": run.copied,
        "images_per_second": round(run.images_per_second, 1),
        "seconds": round(run.seconds, 1),
        "time_per_stage": markdown_table(
            ["stage", "seconds of work", "share of the pass"],
            [[stage, f"{seconds:.1f}", f"{run.shares[stage]:.0%}"] for stage, seconds in run.stages.items()],
        ),
        "peak_memory_mb": round(peak_memory_bytes() / 2**20),
        "devices": ", ".join(run.devices) or "none: nothing had to be computed",
        **on_device,
    }


SECONDS_BETWEEN_LINES = 5.0
Progress = Callable[[int, int], None]


@contextmanager
def progress(context: dg.AssetExecutionContext, what: str, unit: str = "photos") -> Iterator[Progress]:
    """A callback that is told what is done and what there is to do, and logs it with rate and time left.

    Time counts from its first call, behind what has to be set up.
    """
    began = last = 0.0
    first: int | None = None

    def report(done: int, to_do: int) -> None:
        nonlocal began, last, first
        now = time.monotonic()
        if first is None:
            began, last, first = now, now, done
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        rate = (done - first) / (now - began)
        left = (to_do - done) / rate if rate else float("inf")
        shown = f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
        context.log.info(f"{what}: {done:,} of {to_do:,} {unit}, {shown} {unit}/s, {left:.0f} s left")

    yield report
