"""A trained model as a folder that needs neither the store nor Dagster, and can be copied to other machines.

    package.json            versions, what the backbone and the crops are like, the digest of every file
    backbone/               as Hugging Face keeps models: configs and safetensors; beside it backbone_2/, ...
    classifier.json, classifier.safetensors
    thresholds.json         how far an answer may go
    taxonomy.csv            class_id, binomial_name, genus, venomous (empty where that is not known)
    records.csv             class_id, code, photos: where the training photos are from
    gallery/                thumbnails of typical training photos, and gallery.safetensors with their vectors
    MODEL_CARD.md           what it is worth, and what it must not be used for

Tensors are safetensors, all else is text or JPEG: nothing in it can run code.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from snake_assets.identification.gallery import Gallery, Nearness
from snake_assets.identification.identify import Crops, IdentificationError, Package
from snake_assets.identification.thresholds import Columns, Species, Thresholds
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.classifier_io import MODEL_FILE
from snake_assets.learning.errors import LearningError
from snake_assets.storage.fingerprints import Json, file_digest, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.vision.backbone.model_files import BACKBONE as MODEL_FILES
from snake_assets.vision.embedding.tables import of_each_backbone
from snake_assets.vision.preprocessing.crops import CropInput, CropSettings
from snake_assets.vision.preprocessing.transforms import View

if TYPE_CHECKING:
    from snake_assets.identification.evaluation import Operation
    from snake_assets.vision.backbone.backbone import Backbone

PACKAGE_FILE = "package.json"
# Of one backbone, and of several.
FORMATS = (2, 3)
BACKBONE, GALLERY = "backbone", "gallery"
WEIGHTS, THRESHOLDS, TAXONOMY = "classifier.safetensors", "thresholds.json", "taxonomy.csv"
RECORDS, CARD, VECTORS = "records.csv", "MODEL_CARD.md", f"{GALLERY}/gallery.safetensors"
CARD_TEMPLATE = "model_card.md"


def write_package(
    folder: Path,
    *,
    classifier: SpeciesClassifier,
    nearness: Nearness,
    thresholds: Thresholds,
    species: Species,
    records: pl.DataFrame,
    gallery: Columns,
    thumbnails: Sequence[bytes],
    backbone: Backbone,
    recipe: Mapping[str, Json],
    scores: Mapping[str, Any],
    operation: Operation | None,
    made_from: Mapping[str, Json],
) -> None:
    """Write a package into an empty or new folder.

    Args:
        folder: to write into.
        classifier: with its training photos.
        nearness: of these.
        thresholds: fitted for it.
        species: of its columns.
        records: class_id, code, photos: how many photos of a species the training metadata have by country.
        gallery: rows of the classifier's training photos to be shown, [G].
        thumbnails: of these, JPEG files.
        backbone: that the features are of.
        recipe: of the last of the embedding tables: how many photos they took at once, and how the snake was
            found and cut out where there are crops.
        scores: the validation report's scores.json.
        operation: what answers are worth; None where there were too few observations to tell.
        made_from: digests of what it was made from, by name.
    """
    (folder / GALLERY).mkdir(parents=True)
    for part, own in zip(backbone.parts, _backbones(folder, len(backbone.parts)), strict=True):
        own.mkdir()
        for file in MODEL_FILES.files(part.folder):
            shutil.copyfile(file, own / file.name)
    classifier.save(folder)
    (folder / MODEL_FILE).rename(folder / WEIGHTS)
    (folder / THRESHOLDS).write_text(thresholds.model_dump_json(), encoding="utf-8")
    pl.DataFrame(
        {
            "class_id": classifier.class_ids,
            "binomial_name": species.names,
            "genus": [species.genera[number] for number in species.genus.tolist()],
            "venomous": None if species.venomous is None else species.venomous.astype(np.int8),
        }
    ).write_csv(folder / TAXONOMY)
    records.write_csv(folder / RECORDS)
    for name, thumbnail in zip(_thumbnails(len(gallery)), thumbnails, strict=True):
        (folder / name).write_bytes(thumbnail)
    near = classifier.neighbours
    tensors = {
        "vectors": near.vectors[gallery],
        "labels": near.labels[gallery],
        "mean": nearness.mean,
        "spread": nearness.spread,
    }
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, folder / VECTORS)
    seen_by = backbone.fingerprint_parts()
    card = _card(_names(seen_by), classifier, species, records, scores, operation)
    (folder / CARD).write_text(card, encoding="utf-8")
    about: dict[str, Json] = {
        "format": FORMATS[bool(backbone.beside)],
        "versions": {name: version(name) for name in ("snake-assets", "torch", "transformers")},
        "view": asdict(backbone.view),
        "precision": backbone.precision,
        "batch_size": recipe["batch_size"],
        "backbone": seen_by,
        **({"beside": [asdict(part.view) for part in backbone.beside]} if backbone.beside else {}),
        "crop": recipe.get("crop"),
        "made_from": made_from,
        "files": _digests(folder),
    }
    (folder / PACKAGE_FILE).write_text(json.dumps(about | {"digest": fingerprint(about)}, indent=1))


def is_made_from(folder: AnyPath, made_from: Mapping[str, Json]) -> bool:
    """Whether a folder holds a package that was made of just this, by its package.json."""
    try:
        return bool(json.loads((folder / PACKAGE_FILE).read_bytes())["made_from"] == made_from)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_package(folder: str | Path, device: str = "auto") -> Package:
    """Read a package and check that every file is what it was when it was made.

    A package that looks at crops wants its finder, whose weights may be pickles and are in no package:
    SNAKE_DETECTOR names them, and SNAKE_PROMPTER those of sam's prompter.

    Args:
        folder: of the package.
        device: "auto", "cpu", "cuda" or "mps".

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
        species = Species.of(pl.read_csv(folder / TAXONOMY)["binomial_name"].to_list(), classifier.venomous)
        tensors = load_file(folder / VECTORS)
        labels = tensors["labels"].astype(np.int64)
        names = _thumbnails(len(labels))
        gallery = Gallery(tensors["vectors"].astype(np.float32), labels, names, species)
        records = pl.read_csv(folder / RECORDS, schema_overrides={"code": pl.String})
    except (
        LearningError,
        SafetensorError,
        pl.exceptions.PolarsError,
        KeyError,
        ValueError,
        OSError,
    ) as error:
        raise IdentificationError(f"The package {folder} cannot be read: {error}") from error
    views = [View(**view) for view in (about["view"], *about.get("beside", []))]
    first, *others = (
        # Absolute: another name might be that of a model on the hub.
        open_backbone([str(own)], device=device, precision=about["precision"], view=view)
        for own, view in zip(_backbones(folder.absolute(), len(views)), views, strict=True)
    )
    backbone = replace(first, beside=tuple(others))
    return Package(
        name=f"{_names(about['backbone'])} {about['digest'][:12]}",
        classifier=classifier,
        species=species,
        nearness=Nearness(classifier.neighbours, tensors["mean"], tensors["spread"]),
        thresholds=thresholds,
        gallery=gallery,
        records=records,
        backbone=backbone,
        batch_size=about["batch_size"],
        crops=_crops(about["crop"], backbone) if about["crop"] else None,
    )


def _crops(crop: Mapping[str, Any], backbone: Backbone) -> Crops:
    from snake_assets.detection.detect import open_finder
    from snake_assets.detection.finders.base import FinderTuning

    cut = dict(crop)
    wanted = cut.pop("finder")
    mode = {"owl": "owlvit"}.get(wanted["finder"], wanted["finder"])
    if not (detector := os.environ.get("SNAKE_DETECTOR")):
        raise IdentificationError(
            f"The package looks at crops, found by {mode} with the weights {wanted['weights']}: set "
            "SNAKE_DETECTOR to them."
        )
    told = {**wanted, **wanted.get("prompter", {})}
    tuned: dict[str, Any] = {
        one.name: tuple(told[one.name]) if isinstance(told[one.name], list) else told[one.name]
        for one in fields(FinderTuning)
        if one.name in told
    }
    prompter = os.environ.get("SNAKE_PROMPTER")
    finder = open_finder(
        mode, detector, prompter=prompter, device=backbone.device, tuning=FinderTuning(**tuned)
    )
    parts = finder.fingerprint_parts()
    if others := [name for name, part in parts.items() if part != wanted.get(name)]:
        raise IdentificationError(
            f"The package wants crops of another finder than {detector}: its {', '.join(others)} differ. Set "
            f"SNAKE_DETECTOR to the weights {wanted['weights']}."
        )
    return Crops(finder, CropInput(backbone.preprocessing, CropSettings(**cut), beside=backbone.input.beside))


def _card(
    backbone: str,
    classifier: SpeciesClassifier,
    species: Species,
    records: pl.DataFrame,
    scores: Mapping[str, Any],
    operation: Operation | None,
) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["share"] = lambda share: "none to tell by" if share is None else f"{share:.1%}"
    countries = (
        records.group_by("code")
        .agg(pl.col("photos").sum())
        .sort(["photos", "code"], descending=[True, False])
    )
    return environment.from_string(files(__package__).joinpath(CARD_TEMPLATE).read_text()).render(
        backbone=backbone,
        photos=len(classifier.neighbours.labels),
        countries=[f"{code} {photos:,}" for code, photos in countries.iter_rows()],
        species=species,
        scores=scores,
        operation=operation,
    )


def _backbones(folder: Path, count: int) -> list[Path]:
    return [folder / (f"{BACKBONE}_{number}" if number > 1 else BACKBONE) for number in range(1, count + 1)]


def _names(recipe: Mapping[str, Any]) -> str:
    return " and ".join(str(one["backbone"]) for one in of_each_backbone(recipe))


def _thumbnails(count: int) -> list[str]:
    return [f"{GALLERY}/{number}.jpg" for number in range(1, count + 1)]


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / PACKAGE_FILE).read_text(encoding="utf-8"))
        written, found = dict(about["files"]), about["format"]
        rest = {name: part for name, part in about.items() if name != "digest"}
        changed = [] if fingerprint(rest) == about.get("digest") else [PACKAGE_FILE]
        there = _digests(folder)
    except FileNotFoundError:
        raise IdentificationError(
            f"{folder} is no package, for it has no {PACKAGE_FILE}: name one with --model, or make one with "
            "the job `package`."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IdentificationError(f"The package {folder} cannot be read: {error}") from error
    if found not in FORMATS:
        raise IdentificationError(
            f"The package {folder} is of format {found}, this version of snake-assets reads 2 and 3: make "
            "it again with the job `package`."
        )
    changed += sorted(name for name in {*written, *there} if written.get(name) != there.get(name))
    if changed:
        raise IdentificationError(
            f"The package {folder} is not as it was made, for these files were changed, added or taken away: "
            f"{', '.join(changed[:5])}. Copy it again."
        )
    return about


def _digests(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("[!.]*") if path.is_file() and path != folder / PACKAGE_FILE)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in found}
