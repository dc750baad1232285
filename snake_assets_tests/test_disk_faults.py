"""A full disk, a read-only store, missing rights, two runs at once: what is there is the old or the new."""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier

import pytest

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.inventory import take_inventory
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage import StorageError
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.local_files import only_writer
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.detection.marks import MarkFinder
from snake_assets_tests.disks import crowded, files_limited, read_only, small_disk, somebody_else

PHOTOS, SHARD_ROWS, VERSIONS = 24, 6, ("old", "new")
ROOM = (0, 3_000, 9_000, 20_000, 40_000, 60_000, 90_000, 200_000)


@dataclass(frozen=True)
class Writer:
    """Writes a version of something into a folder of the store, and reads which version is there."""

    write: Callable[[Path, str], object]
    read: Callable[[Path], object]


@pytest.fixture(scope="module")
def writers() -> Iterator[dict[str, Writer]]:
    """By asset. What pictures, classifier, report and submission are written by is a bundle."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        for seed, version in enumerate(VERSIONS):
            (root / version / "test").mkdir(parents=True)
            (root / f"{version} packed").mkdir()
            for number in range(PHOTOS):
                seeds = number if number < SHARD_ROWS else 100 * seed + number
                (root / version / "test" / f"{number:02}.jpg").write_bytes(photo_bytes(seeds))
            with tarfile.open(root / f"{version} packed" / "testset.tar", "w") as archive:
                archive.add(root / version / "test", "testset")
            images(root / version / "image_table", root / version)

        yield {
            "raw_images": Writer(
                lambda folder, version: take_inventory(root / version, "test", folder), rows_of
            ),
            "raw_images out of an archive": Writer(
                lambda folder, version: take_inventory(root / f"{version} packed", "test", folder),
                lambda folder: open_table(folder).read(["path", "bytes"]).to_pylist(),
            ),
            "image_table": Writer(lambda folder, version: images(folder, root / version), rows_of),
            "yolo_crops": Writer(
                lambda folder, version: find_snakes(
                    open_table(root / version / "image_table"), folder, MarkFinder(), FindingSettings()
                ),
                rows_of,
            ),
            "a bundle": Writer(write_files, files_of),
        }


def images(folder: Path, data: Path) -> None:
    rows = [PhotoRow(f"{n:02}.jpg", str(n), f"test/{n:02}.jpg") for n in range(PHOTOS)]
    ingest(rows, find_photos(data, "test"), "test", folder, SHARD_ROWS)


def rows_of(folder: Path) -> object:
    return open_table(folder).read().to_pylist()


def write_files(folder: Path, version: str) -> None:
    with write_bundle(folder, {"version": version}) as aside:
        (aside / "model.safetensors").write_text(version * 9_000)
        (aside / "classifier.json").write_text(version)


def files_of(folder: Path) -> object:
    bundle = open_bundle(folder)
    return {name: bundle.path(name).read_text() for name in bundle.files}


WRITERS = ("raw_images", "raw_images out of an archive", "image_table", "yolo_crops", "a bundle")


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest, writers: dict[str, Writer]) -> Writer:
    return writers[request.param]


@pytest.fixture
def versions(writer: Writer, tmp_path: Path) -> dict[str, object]:
    """What each version reads like where nothing goes wrong."""
    for version in VERSIONS:
        writer.write(tmp_path / "undisturbed" / version, version)
    return {version: writer.read(tmp_path / "undisturbed" / version) for version in VERSIONS}


@pytest.mark.parametrize("kind", ["disk", "quota"])
@pytest.mark.fault("a full disk or a quota, at eight fillings; a full disk for each asset")
def test_a_full_disk(writer: Writer, versions: dict[str, object], tmp_path: Path, kind: str, full: bool):
    rooms = ROOM if full else ROOM[::3]
    disk = tmp_path / "disk"
    if kind == "disk":
        with small_disk(disk, megabytes=1):
            fill_up(writer, versions, disk / "store", crowded(disk), rooms)
    else:
        fill_up(writer, versions, disk, files_limited, rooms)


def fill_up(
    writer: Writer, versions: dict[str, object], store: Path, crowd: Callable, rooms: Sequence[int]
) -> None:
    messages = []
    for room in rooms:
        folder = store / str(room)
        writer.write(folder, "old")
        with crowd(room):
            try:
                writer.write(folder, "new")
            except StorageError as error:
                messages.append(str(error))
                assert writer.read(folder) == versions["old"]
            else:
                assert writer.read(folder) == versions["new"]
        writer.write(folder, "new")
        assert writer.read(folder) == versions["new"]
        assert not list(folder.rglob(".*"))
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert messages
    assert all(str(store) in message and "run again" in message for message in messages)
    assert any("No space left" in message or "File too large" in message for message in messages)


@pytest.mark.fault("a store that is read-only")
def test_a_read_only_store(writer: Writer, versions: dict[str, object], tmp_path: Path):
    disk = tmp_path / "disk"
    with small_disk(disk, megabytes=1):
        folder = disk / "store"
        writer.write(folder, "old")
        with read_only(disk):
            with pytest.raises(StorageError, match=r"Read-only file system.*SNAKE_STORE"):
                writer.write(folder, "new")
            assert writer.read(folder) == versions["old"]
        writer.write(folder, "new")
        assert writer.read(folder) == versions["new"]


@pytest.mark.fault("a store that may not be written, or read")
def test_a_store_of_somebody_else_can_be_read_and_is_left_alone(writer: Writer, versions: dict[str, object]):
    with TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        folder = Path(root) / "store"
        writer.write(folder, "old")
        with somebody_else():
            with pytest.raises(StorageError, match=r"Permission denied.*SNAKE_STORE"):
                writer.write(folder, "new")
            assert writer.read(folder) == versions["old"]
        writer.write(folder, "new")
        assert writer.read(folder) == versions["new"]


@pytest.mark.fault("a store that may not be written, or read")
def test_what_may_not_be_read_is_named(writer: Writer, versions: dict[str, object]):
    with TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        folder = Path(root) / "store"
        writer.write(folder, "old")
        (folder / "_manifest.json").chmod(0)
        with somebody_else(), pytest.raises(StorageError, match=r"_manifest.*Permission denied.*mend"):
            writer.read(folder)


@pytest.mark.fault("two runs of one split at once")
def test_of_two_runs_at_once_one_wins_and_the_other_says_so(
    writer: Writer, versions: dict[str, object], tmp_path: Path
):
    writer.write(tmp_path / "store", "old")
    with (
        only_writer(tmp_path / "store"),
        pytest.raises(StorageError, match=r"Another run is writing .*store"),
    ):
        writer.write(tmp_path / "store", "new")
    assert writer.read(tmp_path / "store") == versions["old"]
    together = Barrier(2)

    def run() -> str:
        together.wait()
        try:
            writer.write(tmp_path / "store", "new")
        except StorageError as error:
            return str(error)
        return "won"

    with ThreadPoolExecutor(2) as pool:
        told = [run.result() for run in [pool.submit(run), pool.submit(run)]]
    assert "won" in told
    assert all(said == "won" or "Another run is writing" in said for said in told)
    assert writer.read(tmp_path / "store") == versions["new"]


def test_a_bundle_is_whole_however_often_it_is_replaced_while_it_is_opened(tmp_path: Path):
    write_files(tmp_path, "old")

    def replace() -> None:
        for _ in range(20):
            for version in VERSIONS:
                write_files(tmp_path, version)

    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(replace)
        while not replacing.done():
            assert open_bundle(tmp_path).recipe["version"] in VERSIONS
        replacing.result()
    assert is_current(tmp_path, {"version": "new"})
