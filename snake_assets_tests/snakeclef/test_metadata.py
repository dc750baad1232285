"""The official metadata files: every layout that is official, and every fault by file, line and column."""

from collections.abc import Callable
from pathlib import Path

import pytest

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metadata import PhotoRow, read_metadata, read_venom_list
from snake_assets.snakeclef.metric import read_truth

INAT = "SnakeCLEF2023-TrainMetadata-iNat.csv"
HM = "SnakeCLEF2023-TrainMetadata-HM.csv"
VAL = "SnakeCLEF2023-ValMetadata.csv"
TEST = "SnakeCLEF2024-TestMetadata.csv"
KNOWN = {10: False, 20: True}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "metadata"
    folder.mkdir()
    (folder / INAT).write_text(
        "observation_id,endemic,binomial_name,code,image_path,class_id,subset\n"
        "1,False,Aus bus,PH,2017/Aus_bus/1.JPG,10,train\n"
        "1,True,Aus bus,,2017/Aus_bus/2.jpeg,10,train\n"
    )
    (folder / HM).write_text(
        "observation_id,binomial_name,image_path,subset,code,endemic,class_id\n"
        "HM 1954,Cus dus,HMP/Cus_dus/3.png,train-hm,US,,20\n"
    )
    (folder / VAL).write_text(
        "observation_id,captive,endemic,binomial_name,code,image_path,class_id,subset\n"
        "9,False,False,Aus bus,PH,2018/Aus_bus/4.jpg,10,val\n"
    )
    (folder / TEST).write_text("observation_id,filename\n77,a-b.jpg\n77,c-d.PNG\n")
    return tmp_path


def test_every_split_is_read(root: Path):
    rows = read_metadata(root, "train", KNOWN)  # iNaturalist, then HerpMapper
    first, second, third = [row.image_id for row in rows]
    assert (first, second, third) == ("2017/Aus_bus/1.JPG", "2017/Aus_bus/2.jpeg", "HMP/Cus_dus/3.png")
    assert rows[0].official_path == f"train/SnakeCLEF2023-small_size/{first}"
    assert rows[2].official_path == f"train/{third}"
    assert rows[2].observation_id == "HM 1954"
    assert [(row.endemic, row.code, row.class_id) for row in rows] == [
        (False, "PH", 10), (True, None, 10), (None, "US", 20),
    ]  # fmt: skip
    (row,) = read_metadata(root, "val", KNOWN)
    assert row.official_path == "val/SnakeCLEF2023-small_size/2018/Aus_bus/4.jpg"
    assert read_metadata(root, "test", KNOWN) == [
        PhotoRow("a-b.jpg", "77", "test/a-b.jpg"), PhotoRow("c-d.PNG", "77", "test/c-d.PNG"),
    ]  # fmt: skip
    # A test file may tell places, and HerpMapper may be absent.
    places = "code,observation_id,endemic,filename\nPH,77,True,a-b.jpg\n,78,,c-d.PNG\n"
    (root / "metadata" / TEST).write_text(places)
    rows = read_metadata(root, "test", KNOWN)
    assert [(row.code, row.endemic) for row in rows] == [("PH", True), (None, None)]
    (root / "metadata" / HM).unlink()
    assert len(read_metadata(root, "train", KNOWN)) == 2


def fails(root: Path, split: str, *wanted: str) -> None:
    with pytest.raises(DataError) as caught:
        read_metadata(root, split, KNOWN)
    for word in wanted:
        assert word in str(caught.value)


def reads(root: Path, split: str = "val") -> tuple[list[PhotoRow], str]:
    """The rows of a split, and what is told of how they were read."""
    notes: list[str] = []
    return read_metadata(root, split, KNOWN, notes), " ".join(notes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace(",10,", ",10.0,").encode(), ""),
        (lambda text: text.replace(",", ";").encode(), "separated by semicolons"),
        (lambda text: text.replace(",", "\t").encode(), "separated by tabs"),
        (lambda text: text.encode("utf-16"), "encoded as UTF-16"),
        (lambda text: b"\xff\xfe" + text.encode("utf-16-le"), "encoded as UTF-16"),
        (
            lambda text: text.replace(",val\n", ",Pérou\n").encode("cp1252"),
            "as Windows-1252, such as 'Pérou'",
        ),
        (lambda text: (text + "\r\n,,,,,,,\r\n\r\n").encode(), ""),
        (lambda text: text.replace("class_id", " CLASS_ID ").encode(), "'class_id' 'CLASS_ID'"),
        (lambda text: (",," + text.replace("\n", "\n0,0,", 1)).encode(), "2 columns without a name"),
    ],
)
def test_what_is_certain_is_read_and_told(root: Path, change: Callable[[str], bytes], told: str):
    path = root / "metadata" / VAL
    official = read_metadata(root, "val", KNOWN)
    path.write_bytes(change(path.read_text()))
    rows, notes = reads(root)
    assert rows == official
    assert told in notes
    assert bool(told) == bool(notes)


def test_endemic_and_code_may_be_absent(root: Path):
    (root / "metadata" / VAL).write_text("observation_id,binomial_name,image_path,class_id\n9,A b,a.jpg,10\n")
    rows, notes = reads(root)
    assert [(row.class_id, row.code, row.endemic) for row in rows] == [(10, None, None)]
    assert "no column code or endemic" in notes


@pytest.mark.parametrize(
    ("text", "endemic"),
    [("1", True), ("0", False), ("1.0", True), ("true", True), ("NA", None), ("nan", None), ("N/A", None)],
)
def test_endemic_in_the_words_of_other_tools(root: Path, text: str, endemic: bool | None):
    path = root / "metadata" / TEST
    path.write_text(f"observation_id,filename,endemic,code\n1,a.jpg,{text},NA\n")
    (row,), _ = reads(root, "test")
    assert (row.endemic, row.code) == (endemic, "NA")  # Namibia
    path.write_text("observation_id,filename,endemic\n1,a.jpg,perhaps\n")
    fails(root, "test", "line 2", "'endemic'", "'perhaps'")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("observation_id|filename\n1|a.jpg\n", "separated by '|'"),
        ("observation_id,filename\n1,a\\b.jpg\n", "with a backslash"),
        ("observation_id,filename\n1,..\\b.jpg\n", "with a backslash"),
        ("observation_id,filename\n1,a.jpg\n2\n", "line 3"),
        ("observation_id,filename\n1,a/x.jpg\n2,./a//x.jpg\n", "line 3"),
        ("observation_id,filename,filename\n1,a.jpg,b.jpg\n", "'filename'"),
        ("observation_id,endemic\n1,a.jpg\n", "'filename'"),
        (None, "missing"),
    ],
)
def test_what_is_not_certain_is_refused_by_its_cause(root: Path, text: str | None, cause: str):
    (root / "metadata" / TEST).unlink() if text is None else (root / "metadata" / TEST).write_text(text)
    fails(root, "test", TEST, cause)


def labelled(root: Path, *rows: str) -> None:
    """A val split of these rows: observation_id, class_id and binomial_name."""
    lines = [f"{row},{number}.jpg" for number, row in enumerate(rows)]
    (root / "metadata" / VAL).write_text(
        "\n".join(["observation_id,class_id,binomial_name,image_path", *lines, ""])
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["1,10,A b", "2,20,C d", "1,20,C d"], ["line 4", "observation '1' class 20", "line 2", "10"]),
        (["1,10,A b", "2,10,C d"], ["line 3", "'C d'", "10", "line 2", "'A b'"]),
        (["1,10,A b", "2,20,A b"], ["line 3", "'A b'", "20", "line 2", "10"]),
        (["1.12E+15,10,A b", "2,20,C d"], ["line 2", "'observation_id'", "rounded", "spreadsheet"]),
        (['"1,12e+15",10,A b'], ["line 2", "rounded"]),
        (["1234567890123450000,10,A b", "2,20,C d"], ["line 2", "rounded"]),
        ([f"12345678901234{n}0,10,A b" for n in range(5)], ["line 2", "all 5 ids", "rounded"]),
    ],
)
def test_labels_that_contradict_each_other_and_rounded_ids(root: Path, rows: list[str], told: list[str]):
    labelled(root, *rows)
    fails(root, "val", VAL, *told)
    with pytest.raises(DataError):
        read_truth(root / "metadata" / VAL)


def test_labels_that_agree_and_long_ids_are_fine(root: Path):
    labelled(root, "1,10,A b", "1,10,A b", "2,10,A b", "3,20,", "1234567890123450,10,A b", "12E45,20,C d")
    assert len(read_metadata(root, "val", KNOWN)) == 6
    # Of test, only ids can look rounded.
    (root / "metadata" / TEST).write_text("observation_id,filename\n1.12E+15,a.jpg\n")
    fails(root, "test", TEST, "rounded")


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        (INAT, "3,False,Aus bus,PH,2017/Aus_bus/1.JPG,10,train", ["line 4", "'image_path'", "line 2"]),
        (HM, "HM 2,Aus bus,2017/Aus_bus/1.JPG,train-hm,PH,False,10", ["line 3", INAT]),
        (HM, "HM 2,Aus b\udc81s,HMP/4.jpg,train-hm,PH,False,10", ["line 3", "'binomial_name'", "UTF-8"]),
        (HM, "HM 2,Aus bus,HMP/4.jpg,train-hm,PH,False,11", ["line 3", "'class_id'", "venomous_status_list"]),
        *(
            (HM, f"HM 2,Aus bus,HMP/4.jpg,train-hm,PH,False,{class_id}", ["line 3", "'class_id'"])
            for class_id in ("ten", "-1", "1.5", "10.", "99999999999", "", "٣")
        ),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_column(root: Path, file: str, line: str, told: list[str]):
    with (root / "metadata" / file).open("a", errors="surrogateescape") as stream:
        stream.write(f"{line}\n")
    fails(root, "train", file, *told)


def test_venom_list(tmp_path: Path):
    path = tmp_path / "venomous_status_list.csv"
    path.write_text("class_id,MIVS\n3,1\n0,0\n")
    assert read_venom_list(path) == {3: True, 0: False}
    for content, word in [
        ("class_id,MIVS\n3,1\n3,0\n", "repeats"),
        ("class_id,MIVS\n3,yes\n", "'MIVS'"),
        ("class_id,MIVS\n", "no class"),
    ]:
        path.write_text(content)
        with pytest.raises(DataError, match=word):
            read_venom_list(path)


@pytest.mark.real
def test_official_files_are_read_whole(shared_data: Path, tmp_path: Path):
    official = shared_data / "snakeclef-2024-metadata"
    venomous = read_venom_list(official / "venomous_status_list.csv")
    assert (len(venomous), sum(venomous.values())) == (1784, 285)
    folder = tmp_path / "metadata"
    folder.mkdir()
    for name in (VAL, HM):
        (folder / name).symlink_to(official / name)
    (folder / INAT).write_text("observation_id,endemic,binomial_name,code,image_path,class_id,subset\n")
    val = read_metadata(tmp_path, "val", venomous)
    assert len(val) == 14_117
    assert len({row.observation_id for row in val}) == 7_816
    assert len(read_truth(official / VAL)) == 7_816
    train = read_metadata(tmp_path, "train", venomous)
    assert len(train) == 13_843
    assert train[0].observation_id == "HM 1954"
    assert sum(row.image_id.endswith(".JPG") for row in val) > 0
