"""A Darwin Core Archive, as GBIF and iNaturalist export it, with photos beside it under their identifiers.

The archive's format: https://dwc.tdwg.org/text/. Records are observations; their photos are found by name.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from xml.etree import ElementTree

from snake_assets.snakeclef import DataError, counted
from snake_assets.snakeclef.layouts.own import Options, Photo
from snake_assets.snakeclef.raw.photo_files import PhotoFile, is_named_as_photo

META, OCCURRENCES = "meta.xml", "occurrence.txt"
TEXT = "{http://rs.tdwg.org/dwc/text/}"
MOST_META_BYTES = 1 << 20
MOST_FIELD = 1 << 20
IDENTIFIERS = ("occurrenceID", "gbifID", "catalogNumber")
CORE_TERMS = (*IDENTIFIERS, "species", "scientificName", "taxonRank", "countryCode", "country")
RIGHTS = ("license", "rightsHolder")
# "Naja naja", "Naja (Naja) naja naja", with or without an author behind.
BINOMIAL = re.compile(r"([A-Z][a-z-]+)(?: \([A-Z][a-z-]+\))? ([a-z][a-z-]+)\b")
BELOW_SPECIES = ("", "species", "subspecies", "variety", "form", "infraspecificname", "hybrid")
# What the photos of every record are called at some servers.
SAYS_NOTHING = frozenset(("original", "large", "medium", "small", "square", "image", "photo"))


@dataclass(frozen=True)
class Part:
    """One file of the archive: how it is written, and which column holds which term; -1: the same for all."""

    path: Path
    separator: str
    quote: str
    encoding: str
    header_lines: int
    id_column: int
    columns: Mapping[str, int]
    defaults: Mapping[str, str]

    def rows(self) -> Iterator[tuple[int, str, dict[str, str]]]:
        """Line, id, and term -> text. Raises DataError where the file is not what meta.xml says."""
        how = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE}
        limit = csv.field_size_limit(MOST_FIELD)
        try:
            with self.path.open(newline="", encoding=self.encoding) as file:
                reader = csv.reader(file, delimiter=self.separator, strict=True, **how)
                for values in reader:
                    if reader.line_num <= self.header_lines or not any(values):
                        continue
                    if len(values) <= max(self.id_column, *self.columns.values(), 0):
                        raise DataError(
                            f"{self.path}, line {reader.line_num} has {len(values)} cells, fewer than "
                            f"{META} says: fetch the archive again."
                        )
                    cells = {term: values[column].strip() for term, column in self.columns.items()}
                    yield reader.line_num, values[self.id_column].strip(), {**self.defaults, **cells}
        except FileNotFoundError:
            raise DataError(
                f"{self.path} is missing, which {META} names: unpack the whole archive."
            ) from None
        except (UnicodeDecodeError, LookupError, csv.Error) as error:
            raise DataError(
                f"{self.path} is not what {META} says ({error}): fetch the archive again."
            ) from error
        finally:
            csv.field_size_limit(limit)


@dataclass(frozen=True)
class Record:
    """One observation: where it stands, its terms, and licence and rights holder of each of its media."""

    where: str
    terms: Mapping[str, str]
    media: list[tuple[str, str]]


def archive_tables(root: Path) -> tuple[Path, ...]:
    """The files of an archive that lie in a folder, photos aside."""
    return tuple(sorted(path for path in root.iterdir() if path.suffix.lower() in (".xml", ".txt", ".csv")))


def read_archive(root: Path, files: Sequence[PhotoFile], options: Options, notes: list[str]) -> list[Photo]:
    """The photos beside an archive, with the species, place and rights of their records.

    A photo is named, or lies in a folder that is named, by the identifier of its medium (the end of its
    address)
    or of its record, which may be followed by a number. Records without a photo, photos without a record and
    records that are not named to the species are counted, named and left out.

    Raises:
        DataError: meta.xml or a file that it names is missing, or is not what it should be.
    """
    core, media = _parts(root)
    records: dict[str, Record] = {}
    keys: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for line, name, terms in core.rows():
        if name in records:
            raise DataError(f"{core.path}, line {line} repeats the record {name!r}: fetch the archive again.")
        records[name] = Record(f"{core.path.name}, line {line}", terms, [])
        for identifier in {name, *(terms.get(term, "") for term in IDENTIFIERS)}:
            for key in _keys(identifier):
                keys[key].add((name, -1))
    strays = 0
    for _, name, terms in media.rows() if media else ():
        if name not in records:
            strays += 1
            continue
        record = records[name]
        for key in _keys(terms.get("identifier", "")):
            keys[key].add((name, len(record.media)))
        record.media.append((terms.get("license", ""), terms.get("rightsHolder", "")))
    if strays:
        notes.append(
            f"Left out: {counted(strays, 'row')} of the archive's media without a record in {core.path.name}."
        )
    photos: list[Photo] = []
    with_photo: set[str] = set()
    without: list[str] = []
    unnamed: Counter[str] = Counter()
    for file in files:
        if not is_named_as_photo(file.path):
            continue
        found = _found(file.path, keys)
        if found is None:
            without.append(file.path)
            continue
        name, number = found
        record = records[name]
        with_photo.add(name)
        if (species := _species(record.terms)) is None:
            unnamed[record.terms.get("scientificName", "") or "no name"] += 1
            continue
        licence, holder = _rights(record, number)
        code = record.terms.get("countryCode") or record.terms.get("country") or None
        photos.append(
            Photo(file.path, name, species, record.where, file, None, code, licence or None, holder or None)
        )
    lacking = [name for name in records if name not in with_photo]
    for names, what in (
        (lacking, f"Without a photo here, {len(lacking)} of {counted(len(records), 'record')}"),
        (without, f"Left out: {counted(len(without), 'photo')} whose name is that of no record"),
    ):
        if names:
            notes.append(f"{what}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}.")
    if unnamed:
        names = list(unnamed)
        notes.append(
            f"Left out: {counted(unnamed.total(), 'photo')} of records that are not named to the species: "
            f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}."
        )
    return photos


def _parts(root: Path) -> tuple[Part, Part | None]:
    """The file of records and that of media, as meta.xml tells of them."""
    path = root / META
    if not path.is_file():
        raise DataError(
            f"{root} has {OCCURRENCES} and no {META}: unpack the whole Darwin Core Archive there."
        )
    data = path.read_bytes() if path.stat().st_size <= MOST_META_BYTES else b"<!DOCTYPE"
    try:
        # Entities, which may be without end, are declared there.
        tree = None if b"<!DOCTYPE" in data else ElementTree.fromstring(data)
    except ElementTree.ParseError:
        tree = None
    core = None if tree is None else tree.find(f"{TEXT}core")
    if tree is None or core is None:
        raise DataError(f"{path} is not the description of a Darwin Core Archive: fetch the archive again.")
    media = [
        one
        for one in tree.findall(f"{TEXT}extension")
        if one.get("rowType", "").endswith(("Multimedia", "Image"))
    ]
    return _part(root, core, "id", (*CORE_TERMS, *RIGHTS)), (
        _part(root, media[0], "coreid", ("identifier", *RIGHTS)) if media else None
    )


def _part(root: Path, element: ElementTree.Element, id_name: str, terms: Sequence[str]) -> Part:
    location = (element.findtext(f"{TEXT}files/{TEXT}location") or "").strip()
    identifier = element.find(f"{TEXT}{id_name}")
    try:
        if not location or "/" in location or "\\" in location or identifier is None:
            raise ValueError(location)
        columns, defaults = {}, {}
        for told in element.findall(f"{TEXT}field"):
            term = told.get("term", "").rpartition("/")[2]
            if term in terms and told.get("index") is not None:
                columns[term] = int(told.get("index", ""))
            elif term in terms:
                defaults[term] = told.get("default", "")
        part = Part(
            root / location,
            _unescaped(element.get("fieldsTerminatedBy", "\\t")),
            _unescaped(element.get("fieldsEnclosedBy", "")),
            element.get("encoding", "UTF-8"),
            int(element.get("ignoreHeaderLines", "0") or 0),
            int(identifier.get("index", "")),
            columns,
            defaults,
        )
        if len(part.separator) != 1 or len(part.quote) > 1 or min([part.id_column, *columns.values()]) < 0:
            raise ValueError(location)
    except ValueError:
        raise DataError(
            f"{root / META} does not say how {location[:60] or 'a file'} is to be read: fetch the archive "
            "again."
        ) from None
    return part


def _unescaped(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n").replace("&quot;", '"')


def _keys(identifier: str) -> Iterator[str]:
    """The names that the photo of an identifier may have, without extension and in lower case."""
    parts = [part for part in urlsplit(identifier).path.lower().split("/") if part]
    if not parts:
        return
    last = PurePosixPath(parts[-1]).stem if is_named_as_photo(parts[-1]) else parts[-1]
    if len(parts) > 1:
        yield f"{parts[-2]}/{last}"
        if last in SAYS_NOTHING:
            yield parts[-2]
    if last not in SAYS_NOTHING:
        yield last


def _found(path: str, keys: Mapping[str, set[tuple[str, int]]]) -> tuple[str, int] | None:
    """The record of a photo, and the number of its medium: -1 where only the record is told."""
    above, name = ("", *PurePosixPath(path.lower()).with_suffix("").parts)[-2:]
    for key in (f"{above}/{name}", name, re.sub(r"[ _-]\d+$", "", name), above):
        found = keys.get(key, set())
        records = {record for record, _ in found}
        if len(records) == 1:
            (record,) = records
            numbers = {number for _, number in found if number >= 0}
            return record, numbers.pop() if len(numbers) == 1 else -1
    return None


def _species(terms: Mapping[str, str]) -> str | None:
    """The binomial of a record; None where it is not named to the species."""
    if terms.get("taxonRank", "").casefold() not in BELOW_SPECIES:
        return None
    match = BINOMIAL.match(terms.get("species") or terms.get("scientificName", ""))
    return f"{match.group(1)} {match.group(2)}" if match else None


def _rights(record: Record, number: int) -> tuple[str, str]:
    """Licence and rights holder: of the medium, of all media where they agree, else what the record says."""
    media = record.media if number < 0 else [record.media[number]]
    if len(set(media)) == 1 and any(media[0]):
        return media[0]
    return (
        ("", "")
        if len(set(media)) > 1
        else (record.terms.get("license", ""), record.terms.get("rightsHolder", ""))
    )
