"""Names of species as people write them, and what lists beside the photos say of them."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from snake_assets.snakeclef import DataError, counted
from snake_assets.snakeclef.csv_reader import read_rows
from snake_assets.snakeclef.layouts.records import read_records
from snake_assets.snakeclef.metadata import VENOM_LIST, class_id_of, read_venom_list

VENOMOUS, SYNONYMS = "venomous.csv", "synonyms.csv"
SPECIES_FILES = (VENOM_LIST, VENOMOUS, SYNONYMS)
VENOM_FIELDS = {
    "species": ("binomial_name", "species", "scientificName", "name"),
    "venomous": ("venomous", "MIVS"),
}
SYNONYM_FIELDS = {
    "synonym": ("synonym", "alias", "name"),
    "species": ("binomial_name", "species", "accepted", "scientificName"),
}
TRUE, FALSE = ("1", "true", "yes", "y", "1.0"), ("0", "false", "no", "n", "0.0")
# Own ids lie in the upper half of int32, far above those of any official list.
FIRST_OWN = 2**30
# "Naja naja" or "Naja naja naja", and an author with the year: "(Linnaeus, 1758)", "Baird & Girard, 1853".
AUTHORSHIP = re.compile(r"([A-Z][\w-]+(?: [a-z][\w-]+){1,2}) (?:\([A-Z][^()]*, \d{4}\)|[A-Z][^()\d]*, \d{4})")


@dataclass(frozen=True)
class Identity:
    """A species: its class_id, and its name, or None where it is only a number."""

    class_id: int
    name: str | None


def tidy(text: str) -> str:
    """A name without underscores, blanks too many, author and year: `Naja_naja` is Naja naja."""
    name = " ".join(unicodedata.normalize("NFC", text).replace("_", " ").split())
    match = AUTHORSHIP.fullmatch(name)
    return match.group(1) if match else name


def key_of(text: str) -> str:
    """What all ways to write one name have in common."""
    return tidy(text).casefold()


def own_class_id(text: str) -> int:
    """The class_id of a species that no list knows, 2^30 to 2^31 - 1, made of its name: always the same."""
    digest = hashlib.sha256(key_of(text).encode()).digest()
    return FIRST_OWN + int.from_bytes(digest[:4], "big") % FIRST_OWN


class Species:
    """The lists of species in a folder; `venomous` is class_id -> is venomous, where that is known."""

    def __init__(self, root: Path, notes: list[str]) -> None:
        """Read those that are there. Raises DataError where one is malformed or contradicts another."""
        self._synonyms: dict[str, str] = {}
        self._ids: dict[str, Identity] = {}
        self._names: dict[int, str] = {}
        self.venomous: dict[int, bool] = {}
        if (path := root / SYNONYMS).is_file():
            self._read_synonyms(path, notes)
        if (path := root / VENOM_LIST).is_file():
            self._read_official(path, notes)
        if (path := root / VENOMOUS).is_file():
            self._read_venomous(path, notes)

    def identify(self, texts: Collection[str], notes: list[str]) -> dict[str, Identity]:
        """Each way of writing a species -> what it is; the same name, or number, is one species.

        Args:
            texts: names, of any kind, or numbers, which are class_ids; as they are written.
            notes: names that are read as others are told.

        Raises:
            DataError: some are numbers and some names, or a number is none that a class_id can be.
        """
        ways: dict[str, list[str]] = defaultdict(list)
        numbers = [text for text in texts if re.fullmatch(r"\d+(\.0+)?", text.strip(), re.ASCII)]
        if numbers and len(numbers) < len(texts):
            name = min(set(texts) - set(numbers))
            raise DataError(
                f"Some species are numbers ({min(numbers)!r}) and some are names ({name!r}): a number is "
                "taken for a class_id; write all species alike."
            )
        if numbers:
            return {text: self._numbered(text) for text in texts}
        for text in texts:
            ways[self._accepted(text)].append(text)
        found: dict[str, Identity] = {}
        owners: dict[int, str] = {}
        for key, alike in sorted(ways.items()):
            identity = self._ids.get(key) or Identity(
                own_class_id(key), min(map(tidy, self._shown(key, alike)))
            )
            if (other := owners.setdefault(identity.class_id, key)) != key:
                raise DataError(
                    f"The species {other!r} and {key!r} would get one class_id: give them class_ids in "
                    f"{VENOM_LIST} (class_id, MIVS, binomial_name)."
                )
            found.update(dict.fromkeys(alike, identity))
        changed = sorted(text for text, identity in found.items() if " ".join(text.split()) != identity.name)
        changed = [text for text in changed if text.replace("_", " ") != found[text].name]
        if changed:
            shown = ", ".join(f"{text!r} as {found[text].name!r}" for text in changed[:5])
            notes.append(
                f"Read as another name: {counted(len(changed), 'way')} of writing a species, {shown}."
            )
        return found

    def _shown(self, key: str, alike: list[str]) -> list[str]:
        """The ways to write a species that are not synonyms of it, or its name in `synonyms.csv`."""
        plain = [text for text in alike if key_of(text) == key]
        return plain or [self._synonyms[key_of(alike[0])]]

    def _accepted(self, text: str) -> str:
        return key_of(self._synonyms.get(key_of(text), text))

    def _numbered(self, text: str) -> Identity:
        try:
            class_id = class_id_of(text.strip())
        except ValueError:
            class_id = FIRST_OWN
        if class_id >= FIRST_OWN:
            raise DataError(f"The species {text!r} is no class_id: a whole number below {FIRST_OWN} is one.")
        return Identity(class_id, self._names.get(class_id))

    def _read_synonyms(self, path: Path, notes: list[str]) -> None:
        records = read_records(path, SYNONYM_FIELDS, ("synonym", "species"), notes=notes)
        for row in records.rows:
            synonym, species = (row.text(records.columns[field]) for field in ("synonym", "species"))
            known = self._synonyms.setdefault(key_of(synonym), tidy(species))
            if key_of(known) != key_of(species):
                raise row.error(records.columns["synonym"], f"gives {synonym!r} a second species", "keep one")
        for synonym, species in self._synonyms.items():
            if key_of(species) in self._synonyms and key_of(self._synonyms[key_of(species)]) != key_of(
                species
            ):
                raise DataError(
                    f"{path}: {species!r} of {synonym!r} is a synonym itself: name its species there."
                )

    def _read_official(self, path: Path, notes: list[str]) -> None:
        self.venomous |= read_venom_list(path, notes)
        for row in read_rows(path, ["class_id"], ["binomial_name"]):
            if not (text := row.cells.get("binomial_name", "").strip()):
                continue
            identity = Identity(row.parse("class_id", class_id_of, "a whole number"), tidy(text))
            key = self._accepted(text)
            if self._ids.setdefault(key, identity) != identity:
                raise row.error("binomial_name", f"gives {text!r} a second class_id", "a species stands once")
            self._names[identity.class_id] = tidy(text)

    def _read_venomous(self, path: Path, notes: list[str]) -> None:
        records = read_records(path, VENOM_FIELDS, ("species", "venomous"), notes=notes)
        lines = [
            (
                row,
                row.text(records.columns["species"]),
                row.parse(records.columns["venomous"], _truth, "1 or 0"),
            )
            for row in records.rows
        ]
        identities = self.identify({text for _, text, _ in lines}, [])
        for row, text, venomous in lines:
            if self.venomous.setdefault(identities[text].class_id, venomous) != venomous:
                raise row.error(
                    records.columns["venomous"],
                    f"says {venomous} of {text!r}, and another line or {VENOM_LIST} says {not venomous}",
                    "correct one of them",
                )


def _truth(text: str) -> bool:
    if text.casefold() not in (*TRUE, *FALSE):
        raise ValueError(text)
    return text.casefold() in TRUE
