"""Answers as CSV, JSON lines, MegaDetector's batch output and Darwin Core, each against its schema."""

import csv
import io
import json
from dataclasses import replace

import jsonschema

from snake_assets.identification.exports import SCHEMA, Answer, Format, Likely, LookAlike, layout_of
from snake_assets.vision.preprocessing.regions import Region

COBRA = Answer(
    path='a "quoted", path.jpg',
    observation_id="A",
    answer="Naja naja",
    level="species",
    probability=0.91234567,
    p_venomous=0.95,
    prediction_set=("Naja naja", "Ptyas mucosa"),
    top_k=(Likely("Naja naja", 0.91234567), Likely("Ptyas mucosa", 0.05)),
    look_alikes=(LookAlike("Naja naja", 0.5, "gallery/1-1.jpg", True),),
)
GENUS = replace(COBRA, path="2.jpg", observation_id="B", answer="Naja", level="genus", probability=0.97)
UNSURE = replace(
    COBRA, path="3.jpg", observation_id="C", answer="venomous, species unsure", level="venomous_unsure",
    probability=0.95,
)  # fmt: skip
UNKNOWN = replace(
    COBRA, path="4.jpg", observation_id="D", answer="unknown", level="unknown", probability=None
)
UNREADABLE = Answer("5.jpg", "E", "", "unreadable", error="not_an_image: no photo")
ALL = [COBRA, GENUS, UNSURE, UNKNOWN, UNREADABLE]
NAMED = ["Naja naja", "Ptyas mucosa", "Naja", "venomous, species unsure"]

# https://lila.science/megadetector-output-format, format 1.6, without what is for videos.
NUMBER = {"type": "string", "pattern": r"^\d+$"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
NAMES = {
    "type": "object",
    "propertyNames": NUMBER,
    "additionalProperties": {"type": "string", "minLength": 1},
}
DETECTION = {
    "type": "object",
    "required": ["category", "conf", "bbox"],
    "additionalProperties": False,
    "properties": {
        "category": NUMBER,
        "conf": SHARE,
        "bbox": {"type": "array", "items": SHARE, "minItems": 4, "maxItems": 4},
        "classifications": {
            "type": "array",
            "items": {"type": "array", "prefixItems": [NUMBER, SHARE], "minItems": 2, "maxItems": 2},
        },
    },
}
MEGADETECTOR = {
    "type": "object",
    "required": ["info", "detection_categories", "images"],
    "additionalProperties": False,
    "properties": {
        "info": {
            "type": "object",
            "required": ["format_version"],
            "properties": {"format_version": {"const": "1.6"}},
            "additionalProperties": {"type": "string"},
        },
        "detection_categories": NAMES,
        "classification_categories": NAMES,
        "images": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["file", "detections"],
                "properties": {"file": {"type": "string", "minLength": 1}},
                "oneOf": [
                    {"properties": {"detections": {"type": "array", "items": DETECTION}, "failure": False}},
                    {
                        "required": ["failure"],
                        "properties": {"detections": {"type": "null"}, "failure": {"type": "string"}},
                    },
                ],
            },
        },
    },
}
# Simple Darwin Core (https://dwc.tdwg.org/terms/), as far as terms of it are used; their vocabularies where
# they have one.
TEXT = {"type": "string"}
DARWIN_CORE = {
    "type": "object",
    "required": ["occurrenceID", "basisOfRecord", "occurrenceStatus", "scientificName"],
    "additionalProperties": False,
    "properties": {
        "occurrenceID": {"type": "string", "pattern": "^urn:uuid:[0-9a-f-]{36}$"},
        "basisOfRecord": {"enum": ["HumanObservation", "MachineObservation", "PreservedSpecimen"]},
        "occurrenceStatus": {"enum": ["present", "absent"]},
        "countryCode": {"type": "string", "pattern": "^([A-Z]{2})?$"},
        **dict.fromkeys(["kingdom", "phylum", "class", "order", "genus", "specificEpithet"], TEXT),
        "scientificName": {"type": "string", "minLength": 1},
        "taxonRank": {"enum": ["", "suborder", "genus", "species"]},
        "identifiedBy": {"type": "string", "minLength": 1},
        "dateIdentified": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "identificationVerificationStatus": {"const": "unverified"},
        **dict.fromkeys(["identificationRemarks", "associatedMedia", "occurrenceRemarks"], TEXT),
    },
}


def text_of(kind: Format, *observations: list[Answer], detector: str | None = None) -> str:
    layout = layout_of(kind, "m", NAMED, detector, "PH")
    entries = [entry for observation in observations for entry in layout.entries(observation)]
    assert not any("\n" in entry for entry in entries)
    return layout.head + layout.between.join(entries) + layout.tail


def test_csv_and_json_lines_have_the_columns_in_their_order() -> None:
    rows = [*csv.DictReader(io.StringIO(text_of("csv", ALL)))]
    assert tuple(rows[0]) == tuple(SCHEMA)
    assert rows[0]["path"] == COBRA.path and rows[0]["probability"] == "0.912346"
    assert json.loads(rows[0]["prediction_set"]) == ["Naja naja", "Ptyas mucosa"]
    assert json.loads(rows[0]["look_alikes"])[0]["photo"] == "gallery/1-1.jpg"
    assert rows[3]["probability"] == "" and rows[4]["error"] == UNREADABLE.error
    lines = [json.loads(line) for line in text_of("jsonl", ALL).splitlines()]
    assert [*lines[0]] == [*SCHEMA]
    assert lines[0]["top_k"][1] == {"species": "Ptyas mucosa", "probability": 0.05}
    assert lines[4]["level"] == "unreadable" and lines[4]["probability"] is None


def test_megadetector_output_keeps_to_the_format() -> None:
    boxed = replace(COBRA, region=Region(0.25, 0.5, 0.75, 1.0, score=0.8, label="snake"))
    found = json.loads(text_of("megadetector", [boxed, *ALL[1:]], detector="yolo"))
    jsonschema.Draft202012Validator(MEGADETECTOR).validate(found)
    said = [image["detections"] for image in found["images"]]
    # Likeliest first; no species where the level is none, and nothing at all for the unknown.
    assert said[0][0]["classifications"] == [["1", 0.912346], ["2", 0.05]]
    assert said[1][0]["classifications"] == [["3", 0.97]]
    assert said[2][0]["classifications"] == [["4", 0.95]]
    assert "classifications" not in said[3][0]
    assert said[4] is None
    # The finder's box, else the whole frame.
    assert (said[0][0]["bbox"], said[0][0]["conf"]) == ([0.25, 0.5, 0.5, 0.5], 0.8)
    assert said[1][0]["bbox"] == [0.0, 0.0, 1.0, 1.0]
    assert json.loads(text_of("megadetector"))["images"] == []


def test_darwin_core_has_an_occurrence_an_observation_in_its_terms() -> None:
    second = replace(UNREADABLE, observation_id="A")
    text = text_of("dwc", [COBRA, second], [GENUS], [UNSURE], [UNKNOWN], [UNREADABLE])
    rows = [*csv.DictReader(io.StringIO(text))]
    for row in rows:
        jsonschema.Draft202012Validator(DARWIN_CORE).validate(row)
    assert [row["scientificName"] for row in rows] == [
        "Naja naja", "Naja", "Serpentes", "Serpentes", "incertae sedis",
    ]  # fmt: skip
    assert [row["taxonRank"] for row in rows] == ["species", "genus", "suborder", "suborder", ""]
    assert rows[0]["specificEpithet"] == "naja" and rows[0]["countryCode"] == "PH"
    assert rows[0]["associatedMedia"] == f"{COBRA.path} | 5.jpg" and "5.jpg" in rows[0]["occurrenceRemarks"]
    assert json.loads(rows[0]["identificationRemarks"])["level"] == "species"
    assert len({row["occurrenceID"] for row in rows}) == 5
