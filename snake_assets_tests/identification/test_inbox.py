"""What comes into the inbox, and which batch answers it."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from snake_assets.identification import inbox, load_package
from snake_assets.identification.batch import answer
from snake_assets.identification.inbox import (
    batches_of,
    copies_in,
    list_inbox,
    missed_in,
    new_files,
    photos_of,
    read_arrivals,
    record,
)
from snake_assets.identification.review import read_answers
from snake_assets.storage import StorageError
from snake_assets.storage.local_files import only_writer
from snake_assets_tests.identification.conftest import Made, snake


class Desk:
    """An inbox and the table of its arrivals."""

    def __init__(self, root: Path) -> None:
        self.root, self.table = root / "inbox", root / "arrivals"
        self.root.mkdir()

    def look(self, missed: tuple[tuple[str, str], ...] = ()) -> list[str]:
        """Take all that is new; returns the batches so far."""
        record(self.table, self.root, new_files(list_inbox(self.root), self.arrivals), missed)
        return batches_of(self.arrivals)

    @property
    def arrivals(self) -> pl.DataFrame:
        return read_arrivals(self.table)

    def asked(self, batch: str) -> list[str]:
        """The paths that a batch answers."""
        return [photo.path for photo in photos_of(batch, self.arrivals, self.root)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_content_is_answered_by_one_batch_however_often_it_comes(desk: Desk):
    (desk.root / "a.png").write_bytes(snake(0, 1))
    (desk.root / "b.png").write_bytes(snake(0, 1))
    (desk.root / "notes.txt").write_text("no photo")
    (desk.root / ".a.png.x8Vd").write_bytes(b"half")
    (desk.root / "c.png.part").write_bytes(b"half")
    (first,) = desk.look()
    assert (desk.asked(first), copies_in(first, desk.arrivals)) == (["a.png"], ["b.png"])
    assert desk.look() == [first] and len(desk.arrivals) == 2
    (desk.root / "below").mkdir()
    (desk.root / "below" / "copy.png").write_bytes(snake(0, 1))
    os.utime(desk.root / "a.png", (1, 1))
    assert desk.look() == [first]
    (desk.root / "a.png").write_bytes(snake(1, 2))
    first, second = desk.look()
    assert desk.asked(second) == ["a.png"]


def test_of_two_looks_at_the_same_photos_one_makes_a_batch(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    for number in range(5):
        (desk.root / f"{number}.png").write_bytes(snake(0, number))
    seen = new_files(list_inbox(desk.root), desk.arrivals)
    with only_writer(desk.table), pytest.raises(StorageError, match="Another run is writing"):
        record(desk.table, desk.root, seen)
    assert record(desk.table, desk.root, seen[:3]) == 0
    assert record(desk.table, desk.root, seen) == 0
    assert [desk.asked(batch) for batch in batches_of(desk.arrivals)] == [
        ["0.png", "1.png", "2.png"],
        ["3.png", "4.png"],
    ]
    # Small shards and batches: what has no room waits for the next look.
    monkeypatch.setattr(inbox, "MOST_PHOTOS", 2)
    monkeypatch.setattr(inbox, "SHARD_ROWS", 4)
    for number in range(5, 10):
        (desk.root / f"{number}.png").write_bytes(snake(0, number))
    assert record(desk.table, desk.root, new_files(list_inbox(desk.root), desk.arrivals)) == 3
    assert record(desk.table, desk.root, new_files(list_inbox(desk.root), desk.arrivals), (), -1) == 3
    desk.look()
    assert len(desk.look()) == 5
    assert sorted(desk.arrivals["path"]) == [f"{number}.png" for number in range(10)]


def test_answers_are_those_of_predict_and_what_cannot_be_read_is_a_row(desk: Desk, made: Made):
    for photo, _ in made.photos:
        shutil.copy(photo, desk.root)
    (desk.root / "text.jpg").write_text("no photo")
    (desk.root / "away.png").symlink_to("/etc/hostname")
    (desk.root / "gone.png").write_bytes(snake(1, 77))
    (desk.root / "other.png").write_bytes(snake(1, 78))
    (batch,) = desk.look()
    (desk.root / "gone.png").unlink()
    (desk.root / "other.png").write_bytes(snake(1, 79))
    package = load_package(made.folder, "cpu")
    photos = photos_of(batch, desk.arrivals, desk.root)
    rows = pl.DataFrame(answer(desk.root.parent / "answers" / batch, batch, photos, package).read())
    readable = rows.filter(pl.col("level") != "unreadable")["path"].to_list()
    assert read_answers([desk.root.parent / "answers"])["path"].to_list() == readable != []
    same = package.identify([photo for photo, _ in made.photos])
    named = rows.filter(pl.col("path").str.contains(r"^\d\d.png"))
    assert named.drop("path", "observation_id", "sha256").equals(same.drop("path", "observation_id"))
    errors = dict(rows.filter(level="unreadable").select("path", "error").iter_rows())
    assert {path: error.partition(":")[0] for path, error in errors.items()} == {
        "away.png": "cannot be read",
        "gone.png": "cannot be read",
        "other.png": "cannot be read",
        "text.jpg": "not_an_image",
    }
    assert "leads out of the inbox" in errors["away.png"] and "changed since" in errors["other.png"]
    # What was gone is answered once it comes again, under whatever name; so is what took its place.
    missed = missed_in(batch, desk.arrivals, set(rows["sha256"]))
    assert len(missed) == 2
    (desk.root / "found.png").write_bytes(snake(1, 77))
    assert desk.look(tuple(missed))[-1] != batch
    assert desk.asked(batches_of(desk.arrivals, batch)[0]) == ["found.png", "other.png"]
    late = photos_of(batch, desk.arrivals, desk.root)
    assert "batch 0000002_" in next(photo.fault for photo in late if photo.path == "gone.png")
    assert desk.look(tuple(missed)) == desk.look()


def test_what_could_not_be_read_is_looked_at_again_without_being_a_second_row(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """As root, rights cannot be taken away."""
    (desk.root / "locked.png").write_bytes(snake(0, 1))
    digest = inbox.file_digest

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(inbox, "file_digest", refused)
    (first,) = desk.look()
    assert desk.look() == [first] and desk.arrivals["sha256"].to_list() == [None]
    monkeypatch.setattr(inbox, "file_digest", digest)
    assert desk.asked(desk.look()[-1]) == ["locked.png"] and len(desk.look()) == 2


def test_another_model_answers_anew_and_the_old_answers_stay(desk: Desk, made: Made, tmp_path: Path):
    package, folder = load_package(made.folder, "cpu"), tmp_path / "answers"
    for photo, _ in made.photos[:4]:
        shutil.copy(photo, desk.root)
    (batch,) = desk.look()
    photos = photos_of(batch, desk.arrivals, desk.root)
    first = answer(folder, batch, photos, package)
    alerts = (folder / "alerts.jsonl").read_text().splitlines()
    assert len(alerts) == sum((p or 0) >= 0.5 for p in first.read()["p_venomous"].to_pylist()) > 0
    assert answer(folder, batch, photos, package).manifest == first.manifest
    before = pl.DataFrame(first.read())
    shutil.rmtree(desk.root)
    again = answer(folder, batch, photos, replace(package, name="another"))
    (earlier,) = folder.glob("earlier-*.parquet")
    assert pl.read_parquet(earlier).equals(before)
    assert again.schema.metadata[b"model"] == b"another"
    assert set(again.read()["level"].to_pylist()) == {"unreadable"}
