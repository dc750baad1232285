"""The targets: every reader of files that somebody else may have written."""

import gzip
import hashlib
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from snake_assets.detection.box_files import read_box_files
from snake_assets.detection.finders.base import DetectionError
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metadata import METADATA_FILES, VENOM_LIST, read_metadata, read_venom_list
from snake_assets.snakeclef.raw.archives import ArchiveLimits, unpack
from snake_assets.storage import StorageError
from snake_assets.storage.tables.manifest import MANIFEST, Reject
from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.decoding.decode import decode, probe
from snake_assets.vision.errors import UnreadablePhoto
from snake_assets.vision.preprocessing.crops import MaskError, mask_from_bytes, mask_to_bytes
from snake_assets_tests.fuzz.classifier_seeds import FEATURES, classifier_seeds
from snake_assets_tests.fuzz.photo_seeds import encoded, photo_seeds, picture, with_right_checksums
from snake_assets_tests.fuzz.target import Seed, Target
from snake_assets_tests.hostile.archives import tar, zipped

KNOWN = {10: False, 20: True}


def metadata_seeds() -> list[Seed]:
    """Metadata of every split, and the venom list."""
    labelled = "observation_id,endemic,binomial_name,code,image_path,class_id,subset\n"
    names = ("Aus bus", '"Cus ""dus"""')
    rows = "".join(
        f"{n},{n % 2 == 0},{names[n % 2]},PH,2017/Aus_bus/{n}.JPG,{10 + n % 2 * 10},x\n" for n in range(5)
    )
    quoted = '"HM 1,2",,"Cus ""dus""",,HMP/Cus_dus/3.png,20,hm\r\n'
    return [
        Seed("train", (labelled + rows).encode()),
        Seed("val", (labelled + quoted + rows).encode("utf-8-sig")),
        Seed("test", "observation_id,filename\n77,a-ä.jpg\n77,c.PNG\n".encode()),
        Seed("venom", b"class_id,MIVS\n3,1\n0,0\n"),
    ]


def read_table_text(seed: str, content: bytes, folder: Path) -> None:
    """Metadata of a split, or the venom list."""
    (folder / "metadata").mkdir()
    if seed == "venom":
        (folder / "metadata" / VENOM_LIST).write_bytes(content)
        read_venom_list(folder / "metadata" / VENOM_LIST)
        return
    (folder / "metadata" / METADATA_FILES[seed][0].name).write_bytes(content)
    for row in read_metadata(folder, seed, KNOWN):
        assert row.observation_id.strip()
        assert ".." not in row.image_id.split("/")


def archive_seeds() -> list[Seed]:
    """Tars and zips, packed and not."""
    members = {"2017/A_b/1.JPG": b"one" * 99, "HMP/" + "A_b" * 60 + "/2.png": b"two", "README.txt": b"none"}
    short = {name[-90:]: data for name, data in members.items()}  # the oldest layout has no long names
    tars = {
        f"{layout}.tar": tar((short if layout == tarfile.USTAR_FORMAT else members).items(), layout)
        for layout in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)
    }
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    zips = {f"{method}.zip": zipped(members.items(), method) for method in methods}
    return [
        *(Seed(name, data) for name, data in (tars | zips).items()),
        *(Seed(f"{name}.gz", data, lambda tar: gzip.compress(tar, 1)) for name, data in tars.items()),
    ]


def read_archive(seed: str, content: bytes, folder: Path) -> None:
    """An archive, unpacked to a folder beside which nothing may appear."""
    archive, inside = folder / f"a{seed}", folder / "in" / "side"
    archive.write_bytes(content)
    try:
        unpack(archive, inside, ArchiveLimits(bytes=1 << 24))
    finally:
        outside = [path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(inside)]
        assert outside == [archive], outside
        assert not any(path.is_symlink() for path in folder.rglob("*"))


def read_photo(_: str, content: bytes, folder: Path) -> None:
    """A photo's header and pixels."""
    try:
        header = probe(content)
    except UnreadablePhoto:
        header = None
    pixels = decode(content, at_least=8 if content[-1:] > b"\x7f" else None)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert header is None or header.width * header.height >= pixels.shape[0] * pixels.shape[1] > 0


def shard_seeds(folder: Path) -> list[Seed]:
    """A small table's shard and its manifest."""
    schema = pa.schema(
        [
            ("image_id", pa.string()),
            ("image", pa.binary()),
            ("width", pa.int32()),
            ("v", pa.list_(pa.float32(), 4)),
        ]
    )
    rows = [{"image_id": f"{n}.jpg", "image": b"x" * n, "width": n, "v": [n] * 4} for n in range(8)]
    with write_table(folder, "image_table", "train", schema, {"a": 1}) as writer:
        batches = pa.Table.from_pylist(rows, schema=schema).to_batches(max_chunksize=3)
        writer.write("unit", batches, [Reject("9.jpg", "empty", "no bytes")])
        writer.commit(["unit"])
    return [
        Seed("part-00000.parquet", (folder / "part-00000.parquet").read_bytes()),
        Seed(MANIFEST, (folder / MANIFEST).read_bytes()),
    ]


def read_shard(seeds: Sequence[Seed], seed: str, content: bytes, folder: Path) -> None:
    """A table of which one file was changed; the manifest agrees with it in all but the footer's digest.

    Without that digest pyarrow ends the process at some footers (an exception in C++ that nobody catches).
    """
    for one in seeds:
        (folder / one.name).write_bytes(one.data)
    (folder / seed).write_bytes(content)
    if seed != MANIFEST:
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["shards"][0] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (folder / MANIFEST).write_text(json.dumps(manifest))
    table = open_table(folder)
    assert table.read().num_rows >= 0
    table.sample(3, ["image_id"])
    for shard in table.manifest.shards:
        assert all(batch.num_rows <= 2 for batch in table.batches(shard, ["image_id", "v"], rows=2))
    table.matching("width", [1, 3], ["image_id"])


def read_classifier(seeds: Sequence[Seed], seed: str, content: bytes, folder: Path) -> None:
    """A classifier of which one file was changed; what is loaded must answer."""
    kind, name = seed.split("/")
    for one in seeds:
        if one.name.startswith(f"{kind}/"):
            (folder / one.name.split("/")[1]).write_bytes(one.data)
    (folder / name).write_bytes(content)
    classifier = SpeciesClassifier.load(folder)
    table = FeatureTable(
        ["a", "b"], ["1", "2"], {block: np.ones((2, size), np.float32) for block, size in FEATURES.items()}
    )
    said = classifier.identify(table)
    assert set(said.class_id.tolist()) <= set(classifier.class_ids.tolist())
    assert np.isfinite(said.probability).all()


def read_boxes(seed: str, content: bytes, folder: Path) -> None:
    """A folder of two photos with boxes, one file of which was changed."""
    for name, data in {
        "images/a.jpg": encoded(picture(40, 33), "JPEG"),
        "images/b.png": encoded(picture(24, 17), "PNG"),
        "labels/a.txt": b"0 0.5 0.5 0.2 0.2\n",
        seed: content,
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    for photo in read_box_files(folder).photos:
        assert ((photo.boxes >= 0) & (photo.boxes <= 1)).all()
        assert (photo.boxes[:, :2] < photo.boxes[:, 2:]).all()


def read_mask(_: str, content: bytes, folder: Path) -> None:
    """A mask of a photo."""
    assert max(mask_from_bytes(content).shape) <= 1024


def build_targets(workspace: Path) -> dict[str, Target]:
    """All targets by name; `workspace` is an empty folder to make seeds in."""
    shards = shard_seeds(workspace / "table")
    classifiers = classifier_seeds(workspace / "classifiers")
    mask = mask_to_bytes(np.eye(40, 30, dtype=bool))
    boxes = [
        Seed("labels/a.txt", b"0 0.5 0.5 0.2 0.3\n2 0.25 0.75 0.5 0.5\n\n"),
        Seed("labels/b.txt", b"1 0.100000 0.200000 0.199999 0.1\r\n"),
        Seed("images/a.jpg", encoded(picture(40, 33), "JPEG")),
        Seed(
            "coco.json",
            b'{"images": [{"id": 1, "file_name": "b.png", "width": 24, "height": 17}], '
            b'"annotations": [{"id": 1, "image_id": 1, "bbox": [2, 3, 10.5, 8], "category_id": 0}], '
            b'"categories": [{"id": 0, "name": "snake"}]}',
        ),
        Seed(
            "b.xml",
            b"<annotation><size><width>24</width><height>17</height></size><object><name>a</name><bndbox>"
            b"<xmin>2</xmin><ymin>3</ymin><xmax>9.5</xmax><ymax>16</ymax></bndbox></object></annotation>",
        ),
        Seed(
            "annotations.xml",
            b'<annotations><image name="b.png" width="24" height="17"><box label="a" xtl="2" ytl="3" xbr="9" '
            b'ybr="16"/><polygon label="a" points="1,2;9.5,3;4,16"/></image></annotations>',
        ),
    ]
    targets = [
        Target("metadata", metadata_seeds(), (DataError,), read_table_text),
        Target("archives", archive_seeds(), (DataError,), read_archive),
        Target("photos", photo_seeds(), (UnreadablePhoto,), read_photo),
        Target("masks", [Seed("mask", mask, with_right_checksums)], (MaskError,), read_mask),
        Target("shards", shards, (StorageError,), lambda *case: read_shard(shards, *case)),
        Target(
            "classifier", classifiers, (LearningError,), lambda *case: read_classifier(classifiers, *case)
        ),
        Target("boxes", boxes, (DetectionError,), read_boxes),
    ]
    return {target.name: target for target in targets}
