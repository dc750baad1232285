"""The recipe of the seed paper (DS@GT, CLEF 2024), step by step as it was run.

Hugging Face's image processor on PIL images, batches of 8, float32; the whole token matrix of every photo
written to parquet; then a second pass over that file, which takes the CLS token and scipy's DCT. In its
favour: one second pass instead of two, the faster image processor of today, and nothing is synced to disk.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from scipy.fftpack import dctn
from transformers import AutoImageProcessor, AutoModel

from snake_assets.storage.tables.table import Table

BATCH = 8
KEPT = 8


@dataclass(frozen=True)
class PaperModel:
    """Image processor and model, as the paper's notebooks load them."""

    processor: Any
    model: Any
    device: str

    @classmethod
    def load(cls, folder: Path, device: str) -> "PaperModel":
        """Load both from a folder in Hugging Face format."""
        model = AutoModel.from_pretrained(folder).eval().to(device)
        processor: Any = AutoImageProcessor  # its functions are untyped
        return cls(processor.from_pretrained(folder), model, device)

    def tokens(self, photos: list[bytes]) -> np.ndarray:
        """All tokens of some photos: float32 [B, 1 + P, D]."""
        pictures = [Image.open(io.BytesIO(photo)).convert("RGB") for photo in photos]
        inputs = self.processor(images=pictures, return_tensors="pt").to(self.device)
        with torch.no_grad():
            hidden: np.ndarray = self.model(**inputs).last_hidden_state.cpu().numpy()
        return hidden


def embed_as_the_paper(model: PaperModel, images: Table, count: int, folder: Path) -> int:
    """Embed the table's first `count` photos into two tables; returns the bytes of all that was written."""
    folder.mkdir(parents=True)
    shape = _write_tokens(model, images, count, folder / "tokens.parquet")
    _write_features(folder, shape)
    return sum(file.stat().st_size for file in folder.iterdir())


def _photos(images: Table) -> Iterator[tuple[str, bytes]]:
    for shard in images.manifest.shards:
        for batch in images.batches(shard, ["image_id", "image"], BATCH):
            yield from zip(batch["image_id"].to_pylist(), batch["image"].to_pylist(), strict=True)


def _write_tokens(model: PaperModel, images: Table, count: int, path: Path) -> tuple[int, int]:
    photos = islice(_photos(images), count)
    writer, shape = None, (0, 0)
    while batch := list(islice(photos, BATCH)):
        tokens = model.tokens([data for _, data in batch])
        shape = tokens.shape[1:]
        rows = _rows([image_id for image_id, _ in batch], tokens)
        writer = writer or pq.ParquetWriter(path, rows.schema)
        writer.write_batch(rows)
    if writer:
        writer.close()
    return shape


def _write_features(folder: Path, shape: tuple[int, int]) -> None:
    ids: list[str] = []
    cls: list[np.ndarray] = []
    dct: list[np.ndarray] = []
    for batch in pq.ParquetFile(folder / "tokens.parquet").iter_batches(BATCH):
        ids += batch["image_id"].to_pylist()
        for tokens in batch["embedding"].flatten().to_numpy().reshape(-1, *shape):
            cls.append(tokens[0].copy())
            dct.append(dctn(tokens)[:KEPT, :KEPT].ravel())
    for name, vectors in (("cls", cls), ("dct", dct)):
        pq.write_table(pa.Table.from_batches([_rows(ids, np.stack(vectors))]), folder / f"{name}.parquet")


def _rows(ids: list[str], values: np.ndarray) -> pa.RecordBatch:
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(len(ids), -1)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    return pa.RecordBatch.from_arrays([pa.array(ids), column], names=["image_id", "embedding"])
