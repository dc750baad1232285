"""Embedding tables as learning sees them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.reading import read_splits
from snake_assets.storage import StorageError
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.embedding.tables import EMBEDDING_VERSION

PHOTOS = ["a.jpg", "b.jpg", "c.jpg"]


def stored(folder: Path, columns: dict[str, pa.Array], version: int = EMBEDDING_VERSION) -> Table:
    rows = pa.table(columns).to_batches()
    recipe = {"version": version, "made": folder.name}
    with write_table(folder, folder.name, "train", rows[0].schema, recipe) as writer:
        writer.write("unit", rows, [])
        writer.commit(["unit"])
    return open_table(folder)


def vectors(width: int, start: int) -> pa.Array:
    values = np.arange(start, start + 3 * width, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), width)


def tokens(start: int, width: int = 4) -> dict[str, pa.Array]:
    names = ("embedding", "patch_mean", "earlier_cls", "middle_mean")
    return {name: vectors(width, start + 100 * at) for at, name in enumerate(names)}


def embeddings(
    folder: Path, dct_photos: list[str] = PHOTOS, class_id: Sequence[int] = (3, 3, 7)
) -> tuple[Table, Table]:
    keys = {
        "image_id": pa.array(PHOTOS),
        "observation_id": pa.array(["x", "x", "y"]),
        "class_id": pa.array(class_id, pa.int32()),
        "sha256": pa.array(["1", "2", "3"]),
    }
    dct = {"image_id": pa.array(dct_photos), "embedding": vectors(2, 800)}
    dinov2 = stored(folder / "dinov2_embeddings", {**keys, **tokens(0)})
    return dinov2, stored(folder / "dct_embeddings", dct)


def crop_embeddings(folder: Path, width: int = 4, photos: list[str] = PHOTOS) -> Table:
    columns = {"image_id": pa.array(photos), **tokens(10, width), "dct": vectors(2, 900)}
    return stored(folder / "crop_embeddings", columns)


def test_columns_become_blocks(tmp_path: Path) -> None:
    table = read_splits(embeddings(tmp_path))
    assert table.dims == {"cls": 4, "patch_mean": 4, "earlier_cls": 4, "middle_mean": 4, "dct": 2}
    assert table.blocks["earlier_cls"][1].tolist() == list(range(204, 208))
    assert table.blocks["dct"].ravel().tolist() == list(range(800, 806))


def test_crops_bring_blocks_of_their_own(tmp_path: Path) -> None:
    own = embeddings(tmp_path)
    table = read_splits([*own, crop_embeddings(tmp_path)])
    whole = {"cls": 4, "patch_mean": 4, "earlier_cls": 4, "middle_mean": 4, "dct": 2}
    kinds = ("", "crop_")
    assert table.dims == {f"{kind}{name}": width for kind in kinds for name, width in whole.items()}
    assert table.blocks["crop_cls"][1].tolist() == [14, 15, 16, 17]
    assert table.fingerprint != read_splits(own).fingerprint


def test_tables_of_other_photos_are_not_joined(tmp_path: Path) -> None:
    other = ["a.jpg", "c.jpg", "b.jpg"]
    with pytest.raises(LearningError, match="hold other photos"):
        read_splits(embeddings(tmp_path / "dct", other))
    with pytest.raises(LearningError, match=r"crop_embeddings and .* hold other photos"):
        read_splits([*embeddings(tmp_path), crop_embeddings(tmp_path, photos=other)])


def test_a_table_of_the_version_before_is_refused_with_what_to_do(tmp_path: Path) -> None:
    _, dct = embeddings(tmp_path)
    old = stored(tmp_path / "old" / "dinov2_embeddings", {"image_id": pa.array(PHOTOS)}, version=3)
    with pytest.raises(StorageError, match="materialize dinov2_embeddings for train again"):
        read_splits([old, dct])


def test_cls_tokens_alone_are_of_the_same_making(tmp_path: Path) -> None:
    own = embeddings(tmp_path)
    table = read_splits([*own, crop_embeddings(tmp_path)], only_cls=True)
    assert table.dims == {"cls": 4}
    assert table.fingerprint == read_splits([*own, crop_embeddings(tmp_path / "again")]).fingerprint


def test_splits_stand_one_after_the_other_and_equal_ids_apart(tmp_path: Path) -> None:
    train, val = ([*embeddings(tmp_path / split), crop_embeddings(tmp_path / split)] for split in ("1", "2"))
    one, both = read_splits(train), read_splits(train, val)
    assert len(set(both.image_id)) == 2 * len(PHOTOS) and len(set(both.observation_id)) == 4
    assert [name.partition("/")[2] for name in both.image_id] == 2 * PHOTOS
    assert both.class_id is not None and both.class_id.tolist() == [3, 3, 7, 3, 3, 7]
    assert (both.blocks["crop_cls"] == np.vstack(2 * [one.blocks["crop_cls"]])).all()
    assert both.fingerprint == one.fingerprint


def test_splits_of_other_recipes_are_not_joined(tmp_path: Path) -> None:
    train = embeddings(tmp_path)
    with pytest.raises(LearningError, match="embeddings of all splits with one backbone"):
        read_splits(train, [*train, crop_embeddings(tmp_path)])


def test_copies_under_two_species_are_left_out_of_whatever_split(tmp_path: Path) -> None:
    train, val = (embeddings(tmp_path / split) for split in ("1", "2"))
    assert read_splits(train, val, leave_out_copies=True).image_id == read_splits(train, val).image_id
    torn = embeddings(tmp_path / "3", class_id=[3, 9, 7])
    both = read_splits(train, torn, leave_out_copies=True)
    assert both.image_id == ["1/a.jpg", "1/c.jpg", "2/a.jpg", "2/c.jpg"]
    assert (both.blocks["dct"] == read_splits(train, torn).blocks["dct"][[0, 2, 3, 5]]).all()


def test_of_many_photos_those_of_some_whole_observations_are_read(tmp_path: Path) -> None:
    own = embeddings(tmp_path)
    few = read_splits(own, most_photos=2)
    assert few.image_id in (["a.jpg", "b.jpg"], ["c.jpg"])
    assert read_splits(own, most_photos=3).image_id == PHOTOS
