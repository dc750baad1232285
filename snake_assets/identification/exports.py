"""Answers as lines of a file: CSV, JSON lines, MegaDetector's batch output and Darwin Core occurrences."""

from __future__ import annotations

import csv
import datetime
import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import polars as pl

from snake_assets.storage.fingerprints import Json
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME, Region

Level = Literal["species", "genus", "venomous_unsure", "unknown", "unreadable"]
Format = Literal["csv", "jsonl", "megadetector", "dwc"]
FORMATS: tuple[Format, ...] = get_args(Format)
VENOMOUS_UNSURE, UNKNOWN = "venomous, species unsure", "unknown"
# Columns of an answer, in their order.
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("path", "observation_id", "answer", "level"), pl.String()),
        **dict.fromkeys(("probability", "p_venomous"), pl.Float64()),
        "prediction_set": pl.List(pl.String()),
        "top_k": pl.List(pl.Struct({"species": pl.String(), "probability": pl.Float64()})),
        "look_alikes": pl.List(
            pl.Struct(
                {
                    "species": pl.String(),
                    "similarity": pl.Float64(),
                    "photo": pl.String(),
                    "venomous": pl.Boolean(),
                }
            )
        ),
        "error": pl.String(),
    }
)
# Terms of Simple Darwin Core, https://dwc.tdwg.org/simple/.
TERMS = (
    *("occurrenceID", "basisOfRecord", "occurrenceStatus", "countryCode", "kingdom", "phylum", "class"),
    *("order", "genus", "specificEpithet", "scientificName", "taxonRank"),
    *("identifiedBy", "dateIdentified", "identificationVerificationStatus", "identificationRemarks"),
    *("associatedMedia", "occurrenceRemarks"),
)
A_SNAKE = {"kingdom": "Animalia", "phylum": "Chordata", "class": "Reptilia", "order": "Squamata"}


@dataclass(frozen=True)
class Likely:
    """A species and its probability, calibrated."""

    species: str
    probability: float


@dataclass(frozen=True)
class LookAlike:
    """A gallery photo: its species, file in the package, cosine to the photo asked about, and its venom.

    `venomous` is None where venom is not known.
    """

    species: str
    similarity: float
    photo: str
    venomous: bool | None


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
        p_venomous: that the snake is medically important venomous; None where the photo is unreadable, or
            venom is not known.
        prediction_set: species that hold the true one as often as the package promises, likeliest first.
        top_k: the likeliest species.
        look_alikes: gallery photos to compare with.
        error: why the photo is unreadable.
        region: where the snake was found; the whole frame where no finder looked or found.
    """

    path: str
    observation_id: str
    answer: str
    level: Level
    probability: float | None = None
    p_venomous: float | None = None
    prediction_set: tuple[str, ...] = ()
    top_k: tuple[Likely, ...] = ()
    look_alikes: tuple[LookAlike, ...] = ()
    error: str = ""
    region: Region = WHOLE_FRAME

    def row(self) -> dict[str, Json]:
        """As JSON values, in the order of SCHEMA."""
        values = asdict(self)
        return {name: _rounded(values[name]) for name in SCHEMA}


@dataclass(frozen=True)
class Layout:
    """How answers become a file: head, entries with `between` between them, tail. An entry is one line.

    Attributes:
        entries: of the answers of one observation.
        key: what an entry answers: the photo's path, or in Darwin Core the `occurrence_id`.
    """

    head: str
    entries: Callable[[Sequence[Answer]], list[str]]
    key: Callable[[str], str]
    between: str = "\n"
    tail: str = "\n"


def layout_of(
    kind: Format, model: str, names: Sequence[str], detector: str | None, country: str | None
) -> Layout:
    """The layout of a format.

    MegaDetector's batch output is that of format 1.6 (https://lila.science/megadetector-output-format), as
    Timelapse and others read it. Each photo has one detection of the category animal; the answer and, where
    that is a species, the next likeliest ones are its classifications. A photo answered "unknown" has none.

    In Darwin Core an observation is an occurrence. What the classifier refuses, or calls venomous without a
    species, is a snake (Serpentes); an observation of which no photo can be read is "incertae sedis". A
    machine's identification is unverified.

    Args:
        kind: of the answers.
        model: name of the package.
        names: that can be answered: species, genera and `VENOMOUS_UNSURE`.
        detector: name of the finder; None without one.
        country: that the call named.
    """
    if kind == "csv":
        return Layout(
            f"{_csv_line(SCHEMA)}\n", lambda photos: [_csv_line(_cells(one)) for one in photos], _first_cell
        )
    if kind == "jsonl":
        return Layout(
            "", lambda photos: [_json(one.row()) for one in photos], lambda line: json.loads(line)["path"]
        )
    if kind == "dwc":
        return Layout(
            f"{_csv_line(TERMS)}\n",
            lambda photos: [_csv_line(_occurrence(photos, model, country))],
            _first_cell,
        )
    numbers = {name: f"{number}" for number, name in enumerate(dict.fromkeys(names), 1)}
    about = {
        "info": {
            "format_version": "1.6",
            "detector": detector or "none: whole frames",
            "classifier": model,
        },
        "detection_categories": {"1": "animal"},
        "classification_categories": {number: name for name, number in numbers.items()},
    }
    return Layout(
        f'{_json(about)[:-1]}, "images": [\n',
        lambda photos: [_json(_image(one, numbers)) for one in photos],
        lambda line: json.loads(line)["file"],
        between=",\n",
        tail="\n]}\n",
    )


def occurrence_id(observation_id: str) -> str:
    """A lasting name for an observation, the same in every call."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, observation_id)}"


def _first_cell(line: str) -> str:
    return next(csv.reader([line], strict=True))[0]


def _cells(answer: Answer) -> Iterable[object]:
    """Lists are JSON in their cell."""
    return (_json(value) if isinstance(value, list) else value for value in answer.row().values())


def _image(answer: Answer, numbers: Mapping[str, str]) -> dict[str, Json]:
    if answer.level == "unreadable":
        return {"file": answer.path, "failure": answer.error, "detections": None}
    box, most = answer.region, max((one.probability for one in answer.top_k), default=0.0)
    detection: dict[str, Json] = {
        "category": "1",
        "conf": _rounded(box.score or most),
        "bbox": _rounded([box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0]),
    }
    said = {answer.answer: answer.probability or 0.0} if answer.level != "unknown" else {}
    if answer.level == "species":
        said |= {one.species: one.probability for one in answer.top_k}
    if said:
        # Under another rule than argmax the answer need not be the likeliest, which has to come first.
        ranked = sorted(said.items(), key=lambda one: -one[1])
        detection["classifications"] = [[numbers[name], _rounded(share)] for name, share in ranked]
    return {"file": answer.path, "detections": [detection]}


def _occurrence(photos: Sequence[Answer], model: str, country: str | None) -> list[object]:
    answer = next((one for one in photos if one.level != "unreadable"), photos[0])
    readable, named = answer.level != "unreadable", answer.level in ("species", "genus")
    genus, _, epithet = answer.answer.partition(" ") if named else ("", "", "")
    values = {
        **(A_SNAKE if readable else {}),
        "occurrenceID": occurrence_id(answer.observation_id),
        "basisOfRecord": "MachineObservation",
        "occurrenceStatus": "present",
        "countryCode": country if country and len(country) == 2 else "",
        "genus": genus,
        "specificEpithet": epithet,
        "scientificName": answer.answer if named else "Serpentes" if readable else "incertae sedis",
        "taxonRank": answer.level if named else "suborder" if readable else "",
        "identifiedBy": model,
        "dateIdentified": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "identificationVerificationStatus": "unverified",
        "identificationRemarks": _json({name: answer.row()[name] for name in [*SCHEMA][3:8]}),
        "associatedMedia": " | ".join(one.path for one in photos),
        "occurrenceRemarks": "; ".join(f"{one.path}: {one.error}" for one in photos if one.error),
    }
    return [values.get(term, "") for term in TERMS]


def _csv_line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([*cells])
    return out.getvalue()


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _rounded(value: Json) -> Json:
    """Numbers to six digits after the point, which is more than probabilities mean."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(one) for one in value]
    return value
