"""A trained model as a folder that needs neither the store nor Dagster, and can be copied to other machines.

    package.json            versions, what the backbone and the crops are like, the digest of every file
    backbone/               as Hugging Face keeps models: configs and safetensors
    classifier.json, classifier.safetensors
    thresholds.json         how far an answer may go
    taxonomy.csv            class_id, binomial_name, genus, venomous
    records.csv             class_id, code, photos: where the training photos are from
    gallery/                thumbnails of typical training photos, and gallery.safetensors with their vectors
    MODEL_CARD.md

Tensors are safetensors, all else is text or JPEG: nothing in it can run code.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from snake_assets.identification.errors import IdentificationError
from snake_assets.identification.gallery import Gallery, Nearness
from snake_assets.identification.identify import Crops, Package
from snake_assets.identification.thresholds import Species, Thresholds
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.classifier_io import MODEL_FILE
from snake_assets.learning.errors import LearningError
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.vision.backbone.model_files import BACKBONE as MODEL_FILES
from snake_assets.vision.preprocessing.crops import CropInput, CropSettings
from snake_assets.vision.preprocessing.transforms import View

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

PACKAGE_FILE, FORMAT = "package.json", 1
BACKBONE, GALLERY = "backbone", "gallery"
WEIGHTS, THRESHOLDS, TAXONOMY = "classifier.safetensors", "thresholds.json", "taxonomy.csv"
RECORDS, CARD, VECTORS = "records.csv", "MODEL_CARD.md", f"{GALLERY}/gallery.safetensors"


class _Description(BaseModel):
    """The content of package.json."""

    model_config = ConfigDict(extra="forbid")

    format: int
    snake_assets: str
    view: dict[str, Any]
    precision: str
    batch_size: int
    backbone: dict[str, Any]
    crops: dict[str, Any] | None
    finder: dict[str, Any] | None
    made_from: dict[str, Any]
    files: dict[str, str]


@dataclass(frozen=True, eq=False)
class Content:
    """What a package is made of.

    Attributes:
        classifier: with its training photos.
        nearness: of these.
        thresholds: fitted for it.
        names: binomial name of each column's species, [C].
        records: country code -> photos of each species, [C].
        gallery: rows of the classifier's training photos to be shown, [G].
        thumbnails: of these, JPEG files.
        backbone: that the features are of.
        batch_size: of the embedding tables.
        cut: how crops are cut, and `finder` what found them, as the tables' recipe says; None without crops.
        card: MODEL_CARD.md.
        made_from: digests of what it was made from, by name.
    """

    classifier: SpeciesClassifier
    nearness: Nearness
    thresholds: Thresholds
    names: Sequence[str]
    records: Mapping[str, npt.NDArray[np.int64]]
    gallery: npt.NDArray[np.int64]
    thumbnails: Sequence[bytes]
    backbone: Backbone
    batch_size: int
    cut: Mapping[str, Json] | None
    finder: Mapping[str, Json] | None
    card: str
    made_from: Mapping[str, Json]


def write_package(content: Content, folder: Path) -> None:
    """Write a package into an empty or new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BACKBONE).mkdir()
    for file in MODEL_FILES.files(content.backbone.folder):
        shutil.copyfile(file, folder / BACKBONE / file.name)
    content.classifier.save(folder)
    (folder / MODEL_FILE).rename(folder / WEIGHTS)
    (folder / THRESHOLDS).write_text(content.thresholds.model_dump_json(), encoding="utf-8")
    class_ids, venomous = content.classifier.class_ids.tolist(), content.classifier.venomous.tolist()
    _write_csv(
        folder / TAXONOMY,
        ["class_id", "binomial_name", "genus", "venomous"],
        [
            [class_id, name, name.split()[0], int(is_venomous)]
            for class_id, name, is_venomous in zip(class_ids, content.names, venomous, strict=True)
        ],
    )
    _write_csv(
        folder / RECORDS,
        ["class_id", "code", "photos"],
        [
            [class_id, code, photos]
            for code, counts in sorted(content.records.items())
            for class_id, photos in zip(class_ids, counts.tolist(), strict=True)
            if photos
        ],
    )
    _write_gallery(content, class_ids, folder)
    (folder / CARD).write_text(content.card, encoding="utf-8")
    view = content.backbone.view
    description = _Description(
        format=FORMAT,
        snake_assets=version("snake-assets"),
        view={"resolution": view.resolution, "scale": view.scale, "resize": view.resize},
        precision=content.backbone.precision,
        batch_size=content.batch_size,
        backbone=content.backbone.fingerprint_parts(),
        crops=dict(content.cut) if content.cut else None,
        finder=dict(content.finder) if content.finder else None,
        made_from=dict(content.made_from),
        files=_digests(folder),
    )
    (folder / PACKAGE_FILE).write_text(description.model_dump_json(indent=1), encoding="utf-8")


def is_made_from(folder: AnyPath, made_from: Mapping[str, Json]) -> bool:
    """Whether a folder holds a package that was made of just this, by its package.json."""
    try:
        return fingerprint(json.loads((folder / PACKAGE_FILE).read_bytes())["made_from"]) == fingerprint(
            made_from
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_package(
    folder: str | Path, device: str = "auto", detector: str | None = None, prompter: str | None = None
) -> Package:
    """Read a package and check that every file is what it was when it was made.

    Args:
        folder: of the package.
        device: "auto", "cpu", "cuda" or "mps".
        detector: weights of the finder, where the package looks at crops: they may be pickles, and are in no
            package. None: SNAKE_DETECTOR.
        prompter: of the finder sam, likewise. None: SNAKE_PROMPTER.

    Raises:
        IdentificationError: the folder is no package, was changed, was made by another version, or wants
            another finder.
        BackboneError: there is no such device.
        DetectionError: the finder cannot be used.
    """
    from snake_assets.vision.backbone.backbone import open_backbone

    folder = Path(folder)
    about = _read_description(folder)
    try:
        classifier = SpeciesClassifier.load(folder, WEIGHTS)
        thresholds = Thresholds.model_validate_json((folder / THRESHOLDS).read_bytes())
        taxonomy = _read_csv(folder / TAXONOMY)
        species = Species.of([row["binomial_name"] for row in taxonomy], classifier.venomous)
        tensors = load_file(folder / VECTORS)
        gallery = Gallery(
            vectors=tensors["vectors"].astype(np.float32),
            labels=tensors["labels"].astype(np.int64),
            files=_thumbnail_names(classifier.class_ids[tensors["labels"]].tolist()),
            species=species,
        )
        nearness = Nearness(classifier.neighbours, tensors["mean"], tensors["spread"])
        records = _read_records(folder / RECORDS, classifier.class_ids)
        view = View(**about.view)
    except (LearningError, ValidationError, SafetensorError, KeyError, ValueError, OSError) as error:
        raise IdentificationError(f"The package {folder} cannot be read: {error}") from error
    backbone = open_backbone(
        str(folder.absolute() / BACKBONE), device=device, precision=about.precision, view=view
    )
    return Package(
        name=f"{about.backbone['backbone']} {fingerprint(about.files)[:12]}",
        class_ids=classifier.class_ids,
        species=species,
        classifier=classifier,
        nearness=nearness,
        thresholds=thresholds,
        gallery=gallery,
        records=records,
        backbone=backbone,
        batch_size=about.batch_size,
        crops=_crops(
            about,
            backbone,
            detector or os.environ.get("SNAKE_DETECTOR"),
            prompter or os.environ.get("SNAKE_PROMPTER"),
        ),
    )


def _crops(
    about: _Description, backbone: Backbone, detector: str | None, prompter: str | None
) -> Crops | None:
    if about.crops is None:
        return None
    from snake_assets.detection.detect import open_finder
    from snake_assets.detection.finders.base import FinderTuning

    wanted = about.finder or {}
    mode = {"owl": "owlvit"}.get(wanted["finder"], wanted["finder"])
    if not detector:
        raise IdentificationError(
            f"The package looks at crops, found by {mode} with the weights {wanted['weights']}: set "
            "SNAKE_DETECTOR to them."
        )
    told = {name: wanted[name] for name in ("confidence", "iou", "image_size", "most") if name in wanted}
    queries = tuple(wanted.get("queries", FinderTuning().queries))
    tuning = FinderTuning(**told, queries=queries)
    finder = open_finder(mode, detector, prompter=prompter, device=backbone.device, tuning=tuning)
    parts = dict(finder.fingerprint_parts())
    others = [name for name, part in parts.items() if fingerprint(part) != fingerprint(wanted.get(name))]
    if others:
        raise IdentificationError(
            f"The package wants crops of another finder than {detector}: its {', '.join(others)} differ. Set "
            f"SNAKE_DETECTOR to the weights {wanted['weights']}."
        )
    return Crops(finder, CropInput(backbone.preprocessing, CropSettings(**about.crops)))


def _write_gallery(content: Content, class_ids: Sequence[int], folder: Path) -> None:
    labels = content.classifier.neighbours.labels[content.gallery]
    names = _thumbnail_names([class_ids[label] for label in labels.tolist()])
    (folder / GALLERY).mkdir()
    for name, thumbnail in zip(names, content.thumbnails, strict=True):
        (folder / name).write_bytes(thumbnail)
    tensors = {
        "vectors": content.classifier.neighbours.vectors[content.gallery],
        "labels": labels.astype(np.int32),
        "mean": content.nearness.mean,
        "spread": content.nearness.spread,
    }
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, folder / VECTORS)


def _thumbnail_names(class_ids: Sequence[int]) -> list[str]:
    """By class_id and a running number within it."""
    seen: Counter[int] = Counter()
    names: list[str] = []
    for class_id in class_ids:
        seen[class_id] += 1
        names.append(f"{GALLERY}/{class_id}-{seen[class_id]}.jpg")
    return names


def _read_description(folder: Path) -> _Description:
    try:
        text = (folder / PACKAGE_FILE).read_text(encoding="utf-8")
        found = json.loads(text).get("format")
        if found != FORMAT:
            raise IdentificationError(
                f"The package {folder} is of format {found}, this version of snake-assets reads {FORMAT}: "
                "make it again with the job `package`."
            )
        about = _Description.model_validate_json(text)
        changed = sorted(
            name
            for name, digest in {**about.files, **_digests(folder)}.items()
            if about.files.get(name) != digest
        )
    except FileNotFoundError:
        raise IdentificationError(
            f"{folder} is no package, for it has no {PACKAGE_FILE}: name one with --model, or make one with "
            "the job `package`."
        ) from None
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise IdentificationError(f"The package {folder} cannot be read: {error}") from error
    missing = sorted(name for name in about.files if not (folder / name).is_file())
    if changed or missing:
        raise IdentificationError(
            f"The package {folder} is not as it was made: {', '.join((missing or changed)[:5])} "
            f"{'is missing' if missing else 'was changed or added'}. Copy it again."
        )
    return about


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("[!.]*") if path.is_file() and path != folder / PACKAGE_FILE)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def _write_csv(file: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])


def _read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _read_records(file: Path, class_ids: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.int64]]:
    records: dict[str, npt.NDArray[np.int64]] = {}
    for row in _read_csv(file):
        counts = records.setdefault(row["code"], np.zeros(len(class_ids), np.int64))
        counts[np.searchsorted(class_ids, int(row["class_id"]))] = int(row["photos"])
    return records
