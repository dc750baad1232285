"""Embedding tables and places as learning sees them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.places import Place
from snake_assets.learning.reading import read_features, read_places
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table

PHOTOS = ["a.jpg", "b.jpg", "c.jpg"]


def stored(folder: Path, columns: dict[str, pa.Array]) -> Table:
    rows = pa.table(columns).to_batches()
    with write_table(folder, folder.name, "train", rows[0].schema, {"made": folder.name}) as writer:
        writer.write("unit", rows, [])
        writer.commit(["unit"])
    return open_table(folder)


def vectors(width: int, start: int) -> pa.Array:
    values = np.arange(start, start + 3 * width, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), width)


def embeddings(
    folder: Path, more: dict[str, pa.Array], dct_photos: list[str] = PHOTOS
) -> tuple[Table, Table]:
    keys = {
        "image_id": pa.array(PHOTOS),
        "observation_id": pa.array(["x", "x", "y"]),
        "class_id": pa.array([3, 3, 7], pa.int32()),
        "sha256": pa.array(["1", "2", "3"]),
    }
    dinov2 = {**keys, "embedding": vectors(4, 0), "patch_mean": vectors(4, 100), **more}
    dct = {"image_id": pa.array(dct_photos), "embedding": vectors(2, 200)}
    return stored(folder / "dinov2_embeddings", dinov2), stored(folder / "dct_embeddings", dct)


def test_columns_that_only_some_tables_have_become_blocks(tmp_path: Path) -> None:
    plain = read_features(*embeddings(tmp_path / "plain", {}))
    assert plain.dims == {"cls": 4, "patch_mean": 4, "dct": 2}
    more = {"earlier_cls": vectors(8, 300), "middle_mean": vectors(4, 400)}
    rich = read_features(*embeddings(tmp_path / "rich", more))
    assert rich.dims == {"cls": 4, "patch_mean": 4, "earlier_cls": 8, "middle_mean": 4, "dct": 2}
    assert rich.blocks["earlier_cls"][1].tolist() == list(range(308, 316))
    assert rich.blocks["middle_mean"].ravel().tolist() == list(range(400, 412))


def test_further_tables_bring_their_columns_and_may_be_absent(tmp_path: Path) -> None:
    own = embeddings(tmp_path, {})
    layers = stored(
        tmp_path / "layer_embeddings",
        {
            "image_id": pa.array(PHOTOS),
            "earlier_cls": vectors(8, 300),
            "middle_mean": vectors(4, 400),
        },
    )
    rich = read_features(*own, layers)
    assert rich.dims == {"cls": 4, "patch_mean": 4, "earlier_cls": 8, "middle_mean": 4, "dct": 2}
    assert rich.blocks["middle_mean"][2].tolist() == list(range(408, 412))
    without = read_features(*own, None)
    assert without.dims == {"cls": 4, "patch_mean": 4, "dct": 2}
    assert without.fingerprint == read_features(*own).fingerprint != rich.fingerprint


def test_tables_of_crops_bring_blocks_of_their_own(tmp_path: Path) -> None:
    own = embeddings(tmp_path, {})
    keys = {"image_id": pa.array(PHOTOS)}
    crops = [
        stored(
            tmp_path / "crop_dinov2_embeddings",
            {**keys, "embedding": vectors(4, 10), "patch_mean": vectors(4, 300)},
        ),
        stored(tmp_path / "crop_dct_embeddings", {**keys, "embedding": vectors(2, 500)}),
        stored(tmp_path / "crop_layer_embeddings", {**keys, "middle_mean": vectors(4, 400)}),
    ]
    table = read_features(*own, *crops)
    assert table.dims == {
        **{"cls": 4, "patch_mean": 4, "dct": 2},
        **{"crop_cls": 4, "crop_patch_mean": 4, "crop_dct": 2, "crop_middle_mean": 4},
        **{"average_cls": 4, "average_patch_mean": 4, "average_dct": 2},
    }
    assert not any(name.startswith("average") for name in table.blocks), "averages are not kept"
    assert table.matrix(["crop_cls"])[1].tolist() == [14, 15, 16, 17]
    assert table.matrix(["average_cls", "cls"])[0].tolist() == [5, 6, 7, 8, 0, 1, 2, 3]
    assert table.matrix(["average_cls"]).dtype == np.float32
    assert table.fingerprint != read_features(*own).fingerprint


def test_vectors_of_other_lengths_have_no_average(tmp_path: Path) -> None:
    crops = {"image_id": pa.array(PHOTOS), "embedding": vectors(8, 0), "patch_mean": vectors(4, 0)}
    table = read_features(*embeddings(tmp_path, {}), stored(tmp_path / "crop_dinov2_embeddings", crops))
    assert "average_cls" not in table.dims and table.dims["average_patch_mean"] == 4


def test_tables_of_other_photos_are_not_joined(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="hold other photos"):
        read_features(*embeddings(tmp_path / "dct", {}, dct_photos=["a.jpg", "c.jpg", "b.jpg"]))
    layers = {"image_id": pa.array(["a.jpg", "c.jpg", "b.jpg"]), "earlier_cls": vectors(8, 300)}
    with pytest.raises(LearningError, match=r"layer_embeddings and .* hold other photos"):
        read_features(*embeddings(tmp_path, {}), stored(tmp_path / "layer_embeddings", layers))


def test_a_place_is_what_any_photo_of_the_observation_tells(tmp_path: Path) -> None:
    columns = {
        "observation_id": pa.array(["x", "x", "y", "z"]),
        "code": pa.array([None, "PH", "US", None], pa.string()),
        "endemic": pa.array([True, None, None, None], pa.bool_()),
    }
    assert read_places(stored(tmp_path / "image_table", columns)) == {
        "x": Place("PH", True),
        "y": Place("US", None),
        "z": Place(None, None),
    }
