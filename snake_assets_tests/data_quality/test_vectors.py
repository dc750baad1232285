"""Vectors that nothing can be learned from are found and named."""

from pathlib import Path

import numpy as np
import pytest

from snake_assets.data_quality.vectors import examine_vectors, vector_dims
from snake_assets_tests.written import vector_rows, write


def vectors(rows: int = 6, dims: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, dims))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_only_a_value_that_is_not_finite_is_named_by_its_photo(tmp_path: Path, value: float):
    broken = vectors()
    table = write(tmp_path / "cls" / "val", [vector_rows(vectors(3), "a"), vector_rows(broken, "b")])
    assert vector_dims(table) == {"embedding": 4}
    found = examine_vectors(table)
    assert (found.faults, found.figures) == ([], {"different photos": 9, "embedding dims": 4})
    fault, _ = examine_vectors(table, {"embedding": 8}).faults
    assert "'embedding': 4" in fault and "'embedding': 8" in fault
    broken[4, 2] = value
    table = write(tmp_path / "cls" / "val", [vector_rows(vectors(3), "a"), vector_rows(broken, "b")])
    assert examine_vectors(table).faults == ["photo b4.jpg has a NaN or infinite embedding"]


def test_a_constant_column_is_one_over_all_shards(tmp_path: Path):
    flat = vectors()
    flat[:, 1] = 0.5
    shards = [vector_rows(flat, "a"), vector_rows(flat, "b")]
    assert examine_vectors(write(tmp_path / "cls" / "val", shards)).faults == [
        "column 1 of embedding is 0.5 for all photos"
    ]
    flat[:, 1] = 0  # as a rectifier leaves that never fires
    assert not examine_vectors(write(tmp_path / "cls" / "val", [vector_rows(flat, "a")] * 2)).faults
    other = flat.copy()
    other[:, 1] = 0.7
    assert not examine_vectors(write(tmp_path / "cls" / "val", [shards[0], vector_rows(other, "b")])).faults


def test_few_photos_may_share_a_value_but_not_all_of_them(tmp_path: Path):
    def faults(of: np.ndarray) -> int:
        return len(examine_vectors(write(tmp_path / "cls" / "val", [vector_rows(of)])).faults)

    alike = vectors(3)
    alike[:, 1] = 0.5
    assert faults(vectors(1)) == faults(alike) == 0
    alike[:] = alike[0]
    assert faults(alike) == 4
