"""What assets say of themselves in the UI."""

import base64
import io
import re
from collections.abc import Mapping, Sequence

import dagster as dg
from PIL import Image

from snake_assets.assets.columns import column_schema
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.manifest import Manifest
from snake_assets.storage.tables import Table

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


def split_version(digests: Mapping[str, str]) -> dg.DataVersion | None:
    """The version of a partition, from the content digest of its split.

    Dagster takes one version for all partitions of a run, which would be a lie for several: then None.
    """
    return data_version({"content": next(iter(digests.values()))}) if len(digests) == 1 else None


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
