"""Photos that stand in two splits are found by their file and by their vector, piece by piece."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snake_assets.data_quality import cross_split_duplicates as split_copies
from snake_assets.data_quality.cross_split_duplicates import copies_between
from snake_assets_tests.written import vector_rows, write


def vectors(seed: int, rows: int = 20) -> np.ndarray:
    return 3 + np.random.default_rng(seed).normal(size=(rows, 16))


def with_digest(rows: pa.Table, row: int, digest: str) -> pa.Table:
    digests = rows["sha256"].to_pylist()
    digests[row] = digest
    return rows.set_column(rows.column_names.index("sha256"), "sha256", pa.array(digests))


@pytest.mark.parametrize("piece", [1, 1000])
def test_the_same_file_and_a_near_copy_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int):
    monkeypatch.setattr(split_copies, "PIECE_ROWS", piece)
    train, val = vectors(0), vectors(1, 10)
    # Less the mean of train's, which is what is compared.
    val[3] = train[7] + 0.001
    shards = [vector_rows(train[:10], "t"), vector_rows(train[10:], "u")]
    table = write(tmp_path / "cls" / "train", shards)
    other = write(tmp_path / "cls" / "val", [with_digest(vector_rows(val, "v"), 5, "u-2")])
    found = copies_between(table, other, 0.99)
    assert found.faults[0] == "v5.jpg of val, u2.jpg of train: the same file"
    assert found.faults[1].startswith("v3.jpg of val, t7.jpg of train: nearly the same, cosine 1.00")
    assert len(found.faults) == 2
    assert found.figures == {"photos of val": 10, "the same file": 1, "nearly the same": "1"}
    # The most alike is named though it comes later.
    alike = train[[15]]
    train[2] = train[15] + 0.02
    near = write(tmp_path / "near" / "train", [vector_rows(train[:10], "t"), vector_rows(train[10:], "u")])
    copy = write(tmp_path / "near" / "val", [vector_rows(alike, "v")])
    assert "u5.jpg" in copies_between(near, copy, 0.9).faults[0]
    others = write(tmp_path / "cls" / "test", [vector_rows(vectors(2), "w")])
    assert not copies_between(table, others, 0.99).faults
