"""Answers as lines of a file: CSV, JSON lines, MegaDetector's batch output and Darwin Core occurrences."""

from __future__ import annotations

import csv
import datetime
import io
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol

from snake_assets.identification.output import Layout
from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.regions import Region

Level = Literal["species", "genus", "venomous_unsure", "unknown", "unreadable"]
COLUMNS = (
    *("path", "observation_id", "answer", "level", "probability", "p_venomous"),
    *("prediction_set", "top_k", "look_alikes", "error"),
)
VENOMOUS_UNSURE, UNKNOWN = "venomous, species unsure", "unknown"
FORMATS = ("csv", "jsonl", "megadetector", "dwc")
Format = Literal["csv", "jsonl", "megadetector", "dwc"]


@dataclass(frozen=True)
class LookAlike:
    """A gallery photo: its species, file in the package, cosine to the photo asked about, and its venom."""

    species: str
    similarity: float
    photo: str
    venomous: bool


@dataclass(frozen=True)
class Answer:
    """What is said of a photo, by its observation.

    Attributes:
        path: of the photo.
        observation_id: whose photos were answered together.
        answer: a species, a genus, "venomous, species unsure", "unknown", or empty where `level` is
            "unreadable".
        level: how far the answer goes.
        probability: of the answer, calibrated; None where there is none.
        p_venomous: that the snake is medically important venomous; None where the photo is unreadable.
        prediction_set: species that hold the true one as often as the package promises, likeliest first.
        top_k: the likeliest species and their probabilities.
        look_alikes: gallery photos to compare with.
        error: why the photo is unreadable.
        region: where the snake was found, if a finder looked.
    """

    path: str
    observation_id: str
    answer: str
    level: Level
    probability: float | None = None
    p_venomous: float | None = None
    prediction_set: tuple[str, ...] = ()
    top_k: tuple[tuple[str, float], ...] = ()
    look_alikes: tuple[LookAlike, ...] = ()
    error: str = ""
    region: Region | None = field(default=None, compare=False)

    def row(self) -> dict[str, Json]:
        """As JSON values, in the order of COLUMNS."""
        values = asdict(self) | {
            "top_k": [{"species": name, "probability": _rounded(value)} for name, value in self.top_k],
            "probability": _rounded(self.probability),
            "p_venomous": _rounded(self.p_venomous),
        }
        for one in values["look_alikes"]:
            one["similarity"] = _rounded(one["similarity"])
        return {name: values[name] for name in COLUMNS}


class Entries(Layout, Protocol):
    """A layout of answers."""

    def entries(self, observation: Sequence[Answer]) -> list[str]:
        """The lines that an observation's answers make."""


class Csv:
    """A row a photo; lists are JSON in their cell."""

    head, first, between, tail = ",".join(COLUMNS), "\n", "\n", "\n"

    def entries(self, observation: Sequence[Answer]) -> list[str]:
        """A line for each photo of an observation."""
        return [
            _csv_line(
                "" if value is None else json.dumps(value, ensure_ascii=False) if _is_list(value) else value
                for value in answer.row().values()
            )
            for answer in observation
        ]

    def key(self, entry: str) -> str:
        """The photo's path."""
        cells = next(csv.reader([entry], strict=True))
        if len(cells) != len(COLUMNS):
            raise ValueError(f"{len(cells)} cells in a line")
        return cells[0]


class JsonLines:
    """An object a photo, with the columns of the CSV as keys."""

    head, first, between, tail = "", "", "\n", "\n"

    def entries(self, observation: Sequence[Answer]) -> list[str]:
        """A line for each photo of an observation."""
        return [json.dumps(answer.row(), ensure_ascii=False) for answer in observation]

    def key(self, entry: str) -> str:
        """The photo's path."""
        return str(json.loads(entry)["path"])


class MegaDetector:
    """MegaDetector's batch output, format 1.6, as Timelapse and others read it.

    Source: https://lila.science/megadetector-output-format. Each photo has one detection of the category
    animal, the whole frame where no finder looked or found; the answer and, where that is a species, the
    next likeliest ones are its classifications. A photo answered "unknown" has none.
    """

    ANIMAL = "1"
    first, between, tail = "\n", ",\n", "\n]}\n"

    def __init__(self, names: Mapping[str, str], model: str, detector: str | None) -> None:
        """Begin.

        Args:
            names: of answers, that is species, genera and `VENOMOUS_UNSURE` -> number as a string.
            model: name of the package.
            detector: name of the finder; None without one.
        """
        self._numbers = names
        about = {
            "info": {
                "format_version": "1.6",
                "detector": detector or "none: whole frames",
                "classifier": model,
            },
            "detection_categories": {self.ANIMAL: "animal"},
            "classification_categories": {number: name for name, number in names.items()},
        }
        self.head = json.dumps(about, ensure_ascii=False)[:-1] + ', "images": ['

    def entries(self, observation: Sequence[Answer]) -> list[str]:
        """A line for each photo of an observation."""
        return [json.dumps(self._image(answer), ensure_ascii=False) for answer in observation]

    def key(self, entry: str) -> str:
        """The photo's path."""
        return str(json.loads(entry)["file"])

    def _image(self, answer: Answer) -> dict[str, Json]:
        if answer.level == "unreadable":
            return {"file": answer.path, "failure": answer.error, "detections": None}
        found = answer.region if answer.region and answer.region.score > 0 else None
        box = (
            [found.x0, found.y0, found.x1 - found.x0, found.y1 - found.y0] if found else [0.0, 0.0, 1.0, 1.0]
        )
        top = answer.top_k[0][1] if answer.top_k else 0.0
        detection: dict[str, Json] = {
            "category": self.ANIMAL,
            "conf": _rounded(found.score if found else top),
            "bbox": [_rounded(side) for side in box],
        }
        said = [(answer.answer, answer.probability or 0.0)] if answer.level != "unknown" else []
        if answer.level == "species":
            # Under another rule than argmax the answer need not be the likeliest, which has to come first.
            said = sorted(dict([*answer.top_k, *said]).items(), key=lambda one: -one[1])
        if said:
            detection["classifications"] = [[self._numbers[name], _rounded(value)] for name, value in said]
        return {"file": answer.path, "detections": [detection]}


class DarwinCore:
    """An occurrence an observation, in terms of Simple Darwin Core (https://dwc.tdwg.org/simple/).

    What the classifier refuses, or calls venomous without a species, is a snake (Serpentes); an observation
    of which no photo can be read is "incertae sedis". A machine's identification is unverified.
    """

    TERMS = (
        *("occurrenceID", "basisOfRecord", "occurrenceStatus", "countryCode", "kingdom", "phylum", "class"),
        *("order", "genus", "specificEpithet", "scientificName", "taxonRank"),
        *("identifiedBy", "dateIdentified", "identificationVerificationStatus", "identificationRemarks"),
        *("associatedMedia", "occurrenceRemarks"),
    )
    head, first, between, tail = ",".join(TERMS), "\n", "\n", "\n"

    def __init__(self, model: str, country: str | None) -> None:
        """Begin: with the package's name, and the country that the call named."""
        self._model, self._country = model, country

    def entries(self, observation: Sequence[Answer]) -> list[str]:
        """One line."""
        answer = next((one for one in observation if one.level != "unreadable"), observation[0])
        readable = answer.level != "unreadable"
        named = answer.level in ("species", "genus")
        genus, _, epithet = answer.answer.partition(" ") if named else ("", "", "")
        said = {name: value for name, value in answer.row().items() if name in COLUMNS[3:8]}
        errors = [f"{one.path}: {one.error}" for one in observation if one.error]
        values = {
            "occurrenceID": occurrence_id(answer.observation_id),
            "basisOfRecord": "MachineObservation",
            "occurrenceStatus": "present",
            "countryCode": self._country if self._country and len(self._country) == 2 else "",
            "genus": genus,
            "specificEpithet": epithet,
            "scientificName": answer.answer if named else "Serpentes" if readable else "incertae sedis",
            "taxonRank": answer.level if named else "suborder" if readable else "",
            "identifiedBy": self._model,
            "dateIdentified": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "identificationVerificationStatus": "unverified",
            "identificationRemarks": json.dumps(said, ensure_ascii=False),
            "associatedMedia": " | ".join(one.path for one in observation),
            "occurrenceRemarks": "; ".join(errors),
        }
        if readable:
            values |= {
                "kingdom": "Animalia",
                "phylum": "Chordata",
                "class": "Reptilia",
                "order": "Squamata",
            }
        return [_csv_line(values.get(term, "") for term in self.TERMS)]

    def key(self, entry: str) -> str:
        """The occurrenceID."""
        cells = next(csv.reader([entry], strict=True))
        if len(cells) != len(self.TERMS):
            raise ValueError(f"{len(cells)} cells in a line")
        return cells[0]


def occurrence_id(observation_id: str) -> str:
    """A lasting name for an observation, the same in every call."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, observation_id)}"


def _csv_line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([*cells])
    return out.getvalue()


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
