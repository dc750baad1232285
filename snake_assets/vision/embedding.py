"""The embedding pass: from `image_table` to both embedding tables, in one forward pass per photo.

A photo is known by its digest: one that a table of the same recipe has already, or that stands twice, is
copied and not computed again. A batch never crosses a shard, and an interrupted run is resumed shard by
shard, so it ends in the same tables as an undisturbed one. Vectors that are copied after the photos changed
may differ in their last bits from those of a run afresh, whose batches were others.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.manifest import Manifest, Shard
from snake_assets.storage.tables import Table
from snake_assets.storage.writer import TableWriter, write_table
from snake_assets.vision.features import PhotoFeatures, describe
from snake_assets.vision.known import DIGEST, KnownVectors
from snake_assets.vision.reading import PhotoBatch, decode_ahead

if TYPE_CHECKING:
    from snake_assets.vision.backbone import Backbone

DINOV2, DCT = "dinov2_embeddings", "dct_embeddings"
# Counts as an input: raise it when the same photos and backbone would give other rows.
EMBEDDING_VERSION = 1
DCT_KEPT = 8
KEYS = ["image_id", "observation_id", "class_id", DIGEST]
VECTORS = {DINOV2: ["embedding", "patch_mean"], DCT: ["embedding"]}


@dataclass(frozen=True)
class EmbeddingSettings:
    """How the pass is run, and what it gives.

    `batch_size` and `orthonormal_dct` are part of the tables' recipe (another batch shape rounds
    differently); `decoders` threads and `read_ahead` batches only decide speed and memory.
    """

    batch_size: int = 32
    decoders: int = 2
    read_ahead: int = 3
    orthonormal_dct: bool = False


@dataclass
class EmbeddingRun:
    """What a pass did: manifests by table, photos computed, rows copied, and where the time went (seconds).

    What `seconds` holds besides model and writing is set-up and waiting for decoded photos.
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    computed: int = 0
    copied: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0
    writing_seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        """Photos computed per second of this pass; 0 where nothing had to be computed."""
        return self.computed / self.seconds if self.computed else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Share of the pass's time by stage; all 0 where nothing had to be computed."""
        stages = {"model": self.model_seconds, "writing": self.writing_seconds}
        stages["set-up and waiting for photos"] = self.seconds - sum(stages.values())
        return {stage: seconds / self.seconds if self.computed else 0.0 for stage, seconds in stages.items()}


def recipes(backbone: "Backbone", settings: EmbeddingSettings) -> dict[str, dict[str, Json]]:
    """By table, everything that decides its rows besides the photos."""
    common: dict[str, Json] = {
        "version": EMBEDDING_VERSION,
        "view": "whole photo",
        "batch_size": settings.batch_size,
        **backbone.fingerprint_parts(),
    }
    dct: dict[str, Json] = {"kept": DCT_KEPT, "norm": "ortho" if settings.orthonormal_dct else "none"}
    return {DINOV2: common, DCT: {**common, "dct": dct}}


def embed(
    images: Table,
    folders: Mapping[str, Path],
    backbone: "Backbone",
    settings: EmbeddingSettings,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingRun:
    """Compute the embedding tables of one split; what is there already is kept.

    Args:
        images: the split's `image_table`.
        folders: table name (`dinov2_embeddings`, `dct_embeddings` or both) -> its folder.
        backbone: gives CLS and patch tokens.
        settings: of the pass.
        progress: called after each batch with photos done and photos to compute in this run.

    Raises:
        StorageError: a table cannot be read or written.
    """
    run, began = EmbeddingRun(), time.perf_counter()
    recipe_of = recipes(backbone, settings)
    schemas = {name: _schema(name, backbone, recipe_of[name]) for name in folders}
    unit_of = {shard: fingerprint(shard.sha256) for shard in images.manifest.shards}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                write_table(folder, name, images.manifest.split, schemas[name], recipe_of[name])
            )
            for name, folder in folders.items()
        }
        pending = [
            shard
            for shard, unit in unit_of.items()
            if not all(writer.has(unit) for writer in writers.values())
        ]
        if pending:
            known = KnownVectors(writers)
            wanted = _photos_to_compute(images, pending, known)
            decoded = decode_ahead(
                images,
                pending,
                wanted,
                backbone.preprocessing,
                batch_size=settings.batch_size,
                threads=settings.decoders,
                read_ahead=settings.read_ahead,
            )

            def done() -> None:
                if progress and run.computed:
                    progress(run.computed, len(wanted))

            for shard, batches in groupby(decoded, key=lambda batch: batch.shard):
                digests, features = _compute(batches, known, backbone, settings, run, done)
                began_writing = time.perf_counter()
                keys = images.read_shard(shard, KEYS)
                rejected = _write(unit_of[shard], keys, digests, features, known, writers)
                run.copied += keys.num_rows - rejected - len(digests)
                run.writing_seconds += time.perf_counter() - began_writing
        run.manifests = {name: writer.commit(list(unit_of.values())) for name, writer in writers.items()}
    run.seconds = time.perf_counter() - began
    return run


def _photos_to_compute(images: Table, pending: Sequence[Shard], known: KnownVectors) -> set[str]:
    """image_id of the first of each photo that not every table has yet."""
    first: dict[str, str] = {}
    for shard in pending:
        rows = images.read_shard(shard, ["image_id", DIGEST])
        for image_id, digest in zip(rows["image_id"].to_pylist(), rows[DIGEST].to_pylist(), strict=True):
            if not known.has(digest):
                first.setdefault(digest, image_id)
    return set(first.values())


def _compute(
    batches: Iterator[PhotoBatch],
    known: KnownVectors,
    backbone: "Backbone",
    settings: EmbeddingSettings,
    run: EmbeddingRun,
    done: Callable[[], None],
) -> tuple[list[str], list[PhotoFeatures]]:
    """Digests and features of a shard's new photos."""
    digests: list[str] = []
    features: list[PhotoFeatures] = []
    for batch in batches:
        known.refuse(batch.rejects)
        # Models refuse an empty batch, which is what rejects and known photos may leave.
        if batch.digests:
            began = time.perf_counter()
            features.append(describe(backbone, batch.pixels, orthonormal=settings.orthonormal_dct))
            run.model_seconds += time.perf_counter() - began
            digests += batch.digests
        run.computed += len(batch.digests) + len(batch.rejects)
        done()
    return digests, features


def _write(
    unit: str,
    keys: pa.Table,
    digests: list[str],
    features: list[PhotoFeatures],
    known: KnownVectors,
    writers: Mapping[str, TableWriter],
) -> int:
    """Write a shard of each table that lacks it, in the rows' order; returns how many rows were rejected."""
    rejects = known.rejects_of(keys["image_id"].to_pylist(), keys[DIGEST].to_pylist())
    refused = {reject.image_id for reject in rejects}
    readable = [image_id not in refused for image_id in keys["image_id"].to_pylist()]
    kept = keys.filter(pa.array(readable, pa.bool_()))
    wanted = kept[DIGEST].to_pylist()
    old = sorted(set(wanted) - set(digests))
    place = {digest: row for row, digest in enumerate([*digests, *old])}
    for name, writer in writers.items():
        if writer.has(unit):
            continue
        new = _vectors(name, features, writer.schema)
        vectors = pa.concat_tables([new, known.rows(name, old, VECTORS[name])]) if old else new
        in_order = vectors.take(pa.array([place[digest] for digest in wanted], pa.int64()))
        columns = [*kept.columns, *in_order.columns]
        rows = pa.Table.from_arrays(columns, schema=writer.schema).combine_chunks()
        known.add(name, writer.write(unit, rows.to_batches(), rejects), wanted)
    return len(rejects)


def _schema(name: str, backbone: "Backbone", recipe: Mapping[str, Json]) -> pa.Schema:
    keys = [
        ("image_id", pa.string()),
        ("observation_id", pa.string()),
        ("class_id", pa.int32()),
        (DIGEST, pa.string()),
    ]
    widths = [backbone.cls_size, backbone.hidden_size] if name == DINOV2 else [DCT_KEPT * DCT_KEPT]
    vectors = [
        (column, pa.list_(pa.float32(), width)) for column, width in zip(VECTORS[name], widths, strict=True)
    ]
    return pa.schema([*keys, *vectors], metadata={key: json.dumps(value) for key, value in recipe.items()})


def _vectors(name: str, features: Sequence[PhotoFeatures], schema: pa.Schema) -> pa.Table:
    fields = [schema.field(column) for column in VECTORS[name]]
    parts = [[part.cls, part.patch_mean] if name == DINOV2 else [part.dct] for part in features]
    arrays = [
        pa.FixedSizeListArray.from_arrays(
            pa.array(_stacked([part[number] for part in parts])), field.type.list_size
        )
        for number, field in enumerate(fields)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _stacked(parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    return np.concatenate([part.ravel() for part in parts]) if parts else np.empty(0, dtype=np.float32)
