"""The same photos in each layout."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.official import OfficialLayout
from snake_assets.snakeclef.metadata import METADATA_FILES, VENOM_LIST, PhotoRow
from snake_assets.snakeclef.raw.photo_files import match_photos

SPLITS = ("train", "val", "test")
META = """<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="eml.xml">
 <core encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy=""
   ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Occurrence"><files><location>occurrence.txt</location></files>
  <id index="0"/><field index="1" term="http://rs.tdwg.org/dwc/terms/scientificName"/>
  <field index="2" term="http://rs.tdwg.org/dwc/terms/taxonRank"/>
  <field index="3" term="http://rs.tdwg.org/dwc/terms/countryCode"/></core>
 <extension encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy=""
   ignoreHeaderLines="1" rowType="http://rs.gbif.org/terms/1.0/Multimedia">
  <files><location>multimedia.txt</location></files><coreid index="0"/>
  <field index="1" term="http://purl.org/dc/terms/identifier"/>
  <field index="2" term="http://purl.org/dc/terms/license"/>
  <field index="3" term="http://purl.org/dc/terms/rightsHolder"/></extension>
</archive>
"""
LICENCE = "http://creativecommons.org/licenses/by-nc/4.0/"


def official_rows(root: Path) -> dict[str, list[PhotoRow]]:
    """The rows of a set in the official layout whose file is there."""
    rows = {split: OfficialLayout(root).rows(split) for split in SPLITS}
    return {
        split: [row for row in found if (root / row.official_path).is_file()] for split, found in rows.items()
    }


def tell_venom(root: Path, into: Path, names: bool = True) -> None:
    """The official venom list beside the photos, with the names that the metadata gives the classes."""
    known = {row.class_id: row.binomial_name for row in OfficialLayout(root).rows("train")}
    rows = [
        (class_id, int(mivs), known.get(class_id, "") if names else "")
        for class_id, mivs in OfficialLayout(root).venom().items()
    ]
    write_csv(into / "venomous_status_list.csv", [("class_id", "MIVS", "binomial_name"), *rows])


def write_csv(path: Path, rows: list[tuple[object, ...]], mark: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=mark, lineterminator="\n").writerows(rows)


def as_folders(root: Path, into: Path, splits: bool = True) -> dict[str, str]:
    """A folder for each species, in it one for each observation; image_id -> path in the official set."""
    places = {}
    for split, rows in official_rows(root).items():
        for row in rows if splits or split == "train" else ():
            folders = [split] if splits else []
            folders += [row.binomial_name.replace(" ", "_")] if row.binomial_name else []
            path = "/".join([*folders, row.observation_id, Path(row.image_id).name])
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / row.official_path, into / path)
            places[path] = row.official_path
    return places


def as_table(root: Path, into: Path) -> dict[str, str]:
    """One table as a spreadsheet leaves it, photos in a folder of their own; image_id -> official path."""
    lines: list[tuple[object, ...]] = [("", " Path ", "SPECIES", "Observation_ID", "split", "country")]
    places = {}
    for split in SPLITS:
        for row in OfficialLayout(root).rows(split):
            path = f"photos/{row.official_path}"
            told = row.binomial_name or "", row.observation_id, split, row.code or ""
            lines.append((len(lines), path.replace("/", "\\"), *told))
            places[path] = row.official_path
    for split in SPLITS:
        shutil.copytree(root / split, into / "photos" / split)
    write_csv(into / "photos.csv", lines, ";")
    return places


def as_archive(root: Path, into: Path, splits: Sequence[str] = ("train",)) -> dict[str, str]:
    """The photos of some splits as a Darwin Core Archive, which names none; image_id -> official path."""
    core = ["id\tscientificName\ttaxonRank\tcountryCode"]
    media = ["coreid\tidentifier\tlicense\trightsHolder"]
    places = {}
    into.mkdir(parents=True, exist_ok=True)
    known = set()
    rows = official_rows(root)
    for number, row in enumerate(row for split in splits for row in rows[split]):
        if row.observation_id not in known:
            core.append(
                f"{row.observation_id}\t{row.binomial_name} Linnaeus, 1758\tSPECIES\t{row.code or ''}"
            )
            known.add(row.observation_id)
        media.append(
            f"{row.observation_id}\thttps://e.org/photos/{number}/original.jpg\t{LICENCE}\tA. Person"
        )
        path = f"{number}{Path(row.image_id).suffix}"
        shutil.copyfile(root / row.official_path, into / path)
        places[path] = row.official_path
    (into / "occurrence.txt").write_text("\n".join([*core, "none\tPython\tGENUS\t", ""]))
    (into / "multimedia.txt").write_text("\n".join([*media, ""]))
    (into / "meta.xml").write_text(META)
    return places


def as_official(layout: Layout, venom_list: Path, into: Path) -> None:
    """The photos of another layout in the official one, in the same splits and the same order."""
    (into / "metadata").mkdir(parents=True)
    shutil.copyfile(venom_list, into / "metadata" / VENOM_LIST)
    for split in filter(layout.describes, SPLITS):
        file = METADATA_FILES[split][0]
        lines: list[tuple[object, ...]] = [
            ("observation_id", "filename")
            if split == "test"
            else ("observation_id", "image_path", "class_id", "binomial_name", "code")
        ]
        for number, source in enumerate(match_photos(layout.rows(split), layout.photos(split)).sources):
            row, name = source.row, f"{number:06}{Path(source.row.image_id).suffix}"
            told = () if split == "test" else (row.class_id, row.binomial_name, row.code or "")
            lines.append((row.observation_id, name, *told))
            if source.file:
                (into / file.photo_folder).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source.file.root / source.file.path, into / file.photo_folder / name)
        write_csv(into / "metadata" / file.name, lines)
