"""A bucket that answers late, half or not at all: what passes is tried again, what stays is explained."""

import errno
import io
import pickle
import random
from collections.abc import Callable

import pyarrow as pa
import pytest
from google.auth.exceptions import DefaultCredentialsError

from snake_assets.defs.lib.retries import is_transient
from snake_assets.defs.resources.storage import Store
from snake_assets.storage import StorageError
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.objectstore.gcs import IN_MEMORY, PIECE, Bucket, BucketPath, Patience
from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets_tests.gcs.faults import NothingHalf, now_and_then, only
from snake_assets_tests.gcs.server import BUCKET, HALF, LOST, SILENCE, Cloud
from snake_assets_tests.storage.test_everywhere import fill, numbers, plain, put

pytestmark = pytest.mark.fault("requests that fail, stall or are cut short; refusals")

SHORT = Patience(connection=1, silence=0.1, altogether=5, first_pause=0.001)
OLD, NEW = {"a": (1,), "b": (2,)}, {"a": (1,), "c": (3,), "d": (4,)}


def table(root: BucketPath) -> None:
    """Writes a table over an older one, and reads it."""
    fill(root / "numbers" / "val", NEW)
    assert numbers(root / "numbers" / "val") == [1, 3, 4]


def bundle(root: BucketPath) -> None:
    """Writes a bundle over an older one, and reads it."""
    put(root / "b", "two", model="n", card="c")
    read = open_bundle(root / "b")
    assert {name: read.path(name).read_text() for name in read.files} == {"model": "n", "card": "c"}
    assert plain(root / "b") == {"model": "n", "card": "c"}


def begin(root: BucketPath) -> None:
    fill(root / "numbers" / "val", OLD)
    put(root / "b", "one", model="m", old="o")


@pytest.mark.parametrize("kinds", [(LOST,), (503, HALF, 429, SILENCE)])
@pytest.mark.parametrize("write", [table, bundle])
def test_any_single_request_may_fail(
    gcs: Cloud, write: Callable[[BucketPath], None], kinds: tuple[int | str, ...]
):
    root = gcs.folder("store", SHORT)
    begin(root)
    begun = gcs.objects.snapshot()
    gcs.objects.watch = seen = NothingHalf()
    number, asked = 0, 1
    while number < asked:
        gcs.objects.restore(begun)
        before = len(gcs.asked)
        gcs.fault = only(before + number, kinds[number % len(kinds)])
        write(root)
        asked = len(gcs.asked) - before
        number += 1
    assert number > 20
    assert seen.faults == []


@pytest.mark.parametrize("kind", [503, LOST, SILENCE])
def test_a_shard_that_goes_up_in_pieces_comes_back(gcs: Cloud, kind: int | str):
    root, schema = gcs.folder("store/photos/val", SHORT), pa.schema([("photo", pa.binary())])
    photos = [random.Random(seed).randbytes(PIECE // 2 + 1) for seed in range(3)]
    assert sum(map(len, photos)) > PIECE > IN_MEMORY
    gcs.fault = now_and_then(2, [kind])
    with write_table(root, "photos", "val", schema, {}) as writer:
        writer.write("a", (pa.RecordBatch.from_pylist([{"photo": one}], schema) for one in photos))
        writer.commit(["a"])
    gcs.fault = lambda asked: None
    assert open_table(root).read()["photo"].to_pylist() == photos


def test_only_what_is_asked_for_is_fetched(gcs: Cloud):
    root = gcs.folder("store/photos/val")
    schema = pa.schema([("n", pa.int64()), ("photo", pa.binary())])
    with write_table(root, "photos", "val", schema, {}) as writer:
        rows = [{"n": n, "photo": random.Random(n).randbytes(200_000)} for n in range(20)]
        writer.write("a", (pa.RecordBatch.from_pylist([row], schema) for row in rows))
        writer.commit(["a"])
    table = open_table(root)
    before = gcs.sent
    assert table.read(["n"])["n"].to_pylist() == list(range(20))
    one_column, before = gcs.sent - before, gcs.sent
    assert table.rows(table.manifest.shards[0], [7], ["photo"])["photo"][0].as_py() == rows[7]["photo"]
    one_row = gcs.sent - before
    assert table.manifest.bytes > 4_000_000
    assert one_column < 200_000
    assert 200_000 < one_row < 400_000


@pytest.mark.parametrize("kind", [503, 429, HALF, SILENCE])
def test_what_does_not_pass_ends_with_a_message_and_is_tried_again_by_dagster(gcs: Cloud, kind: int | str):
    root = gcs.folder("store/numbers/val", Patience(1, 0.05, 0.2, 0.001))
    fill(gcs.folder("store/numbers/val"), OLD)
    gcs.fault = lambda asked: kind
    for attempt in (lambda: open_table(root), lambda: fill(root, NEW)):
        with pytest.raises(StorageError, match=r"gave no good answer.*Run again") as told:
            attempt()
        assert is_transient(told.value)
        assert "upload_id" not in str(told.value)
    gcs.fault = lambda asked: None
    assert numbers(root) == [1, 2]


@pytest.mark.parametrize(
    ("status", "bucket", "told", "passes"),
    [
        (403, BUCKET, rf"right storage\.objects\.create in .*{BUCKET}.*Grant", False),
        # The session of an upload was lost.
        (404, BUCKET, r"gave no good answer \(status 404\)", True),
        (None, "nobodys", "bucket 'nobodys' does not exist", False),
    ],
    ids=["a right that is lacking", "an upload that is lost", "a bucket that is not there"],
)
def test_a_refusal_says_what_is_wrong_and_dagster_tries_again_what_may_pass(
    gcs: Cloud, status: int | None, bucket: str, told: str, passes: bool
):
    root = gcs.folder("store/numbers/val", bucket=bucket)
    gcs.fault = lambda asked: status if asked.writes else None
    for attempt in (lambda: fill(root, NEW), lambda: put(root, "one", model="m")):
        with pytest.raises(StorageError, match=told) as raised:
            attempt()
        assert is_transient(raised.value) == passes
    if status is None:
        with pytest.raises(StorageError, match=told):
            open_table(root)


def test_without_credentials_the_message_says_where_to_get_them():
    def nobody() -> None:
        raise DefaultCredentialsError("secret")

    root = BucketPath(Bucket(BUCKET, nobody), "store")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="gcloud auth application-default login") as told:
        open_table(root)
    assert "secret" not in str(told.value)


def test_the_folder_of_temporary_files_may_be_full(gcs: Cloud, monkeypatch: pytest.MonkeyPatch):
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("snake_assets.storage.objectstore.gcs.SpooledTemporaryFile", lambda size: Full())
    with pytest.raises(StorageError, match=r"No space left.*TMPDIR"):
        fill(gcs.folder("store/numbers/val"), NEW)


def test_a_table_goes_to_another_process(gcs: Cloud):
    root = gcs.folder("store/numbers/val")
    fill(root, OLD)
    assert pickle.loads(pickle.dumps(open_table(root))).read(["n"])["n"].to_pylist() == [1, 2]


def test_the_setting_names_a_bucket_and_a_folder_in_it(gcs: Cloud):
    place = Store(root=f"gs://{BUCKET}/runs//first/").folder("image_table", "val")
    assert str(place) == f"gs://{BUCKET}/runs/first/image_table/val"
    assert (place.name, place.parent.name) == ("val", "image_table")
    fill(place, OLD)  # type: ignore[arg-type]
    assert "runs/first/image_table/val/_manifest.json" in gcs.objects.names()


NO_BUCKET = ("gs://", "gs:///x", "gs://Upper/x", "gs://ab/x", "gs://snakes/a/../b", "gs://snakes/a?b")


@pytest.mark.parametrize("text", [*NO_BUCKET, "s3://snakes/a", "https://snakes/a"])
def test_a_setting_that_names_no_bucket_is_refused(text: str):
    told = r"SNAKE_STORE='gs:.*names no bucket" if text in NO_BUCKET else "SNAKE_STORE"
    with pytest.raises(StorageError, match=told):
        Store(root=text).folder("submission")
