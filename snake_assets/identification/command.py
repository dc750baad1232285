"""`snake-assets predict`: photos in, a file of answers out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from snake_assets.identification.errors import IdentificationError
from snake_assets.identification.exports import (
    FORMATS,
    VENOMOUS_UNSURE,
    Csv,
    DarwinCore,
    Entries,
    JsonLines,
    MegaDetector,
    occurrence_id,
)
from snake_assets.identification.identify import Options, Package
from snake_assets.identification.output import AnswerFile
from snake_assets.identification.package import load_package
from snake_assets.identification.photos import Photo, find_photos
from snake_assets.storage.fingerprints import Json, fingerprint

ABOUT = """Identify the snakes in photos with a trained model.

Exit status: 0 when the answers were written, also where photos were unreadable; 2 for a call that cannot be
done, with a sentence that says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description = argparse.RawDescriptionHelpFormatter, ABOUT
    add = parser.add_argument
    add(
        "paths", nargs="+", type=Path, metavar="PATH",
        help="a photo, a folder (with all below it), or a .csv with image_path and maybe observation_id",
    )  # fmt: skip
    add("--model", type=Path, metavar="FOLDER", help="the package (default: that of the store)")
    add(
        "--group-by", choices=("none", "folder", "csv"),
        help="which photos show one snake (default: the .csv's observation_id, else none)",
    )  # fmt: skip
    add("--top-k", type=_positive, default=5, metavar="K", help="how many species are named (default: 5)")
    add(
        "--country", metavar="CC",
        help="where the photos are from: species never recorded there in training are down-weighted",
    )  # fmt: skip
    add("--species", type=Path, metavar="FILE", help="only these species, a binomial name in each line")
    add("--format", choices=FORMATS, default="csv", help="of the answers (default: csv)")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="called again, it goes on (default: stdout)",
    )
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default=os.environ.get("SNAKE_DEVICE", "auto"))
    add("--batch-size", type=_positive, metavar="N", help="in a forward pass (default: as in training)")


def run(asked: argparse.Namespace) -> int:
    """Do it; returns the exit status.

    Raises:
        ValueError: of the rooms' own kinds, for what the user has to change.
        OSError: an answer cannot be written.
    """
    output: Path | None = asked.output
    beside = [output, output.with_name(f"{output.name}.progress")] if output else []
    photos, others = find_photos(asked.paths, asked.group_by, but=beside)
    if others:
        _tell(f"{len(others)} files that are no photos by their names are left out, such as {others[0]}")
    if not photos:
        raise IdentificationError(f"There is no photo in {', '.join(map(str, asked.paths))}.")
    options = Options(
        top_k=asked.top_k,
        country=asked.country,
        species=_species_in(asked.species) if asked.species else None,
        batch_size=asked.batch_size,
    )
    package = load_package(asked.model or _model_of_the_store(asked.home()), asked.device)
    _tell_what_is_weighted(package, options)
    layout = _layout(asked.format, package, options)
    if output is None:
        _to_stdout(package, photos, options, layout)
        return 0
    made_by: dict[str, Json] = {
        "model": package.name,
        "format": asked.format,
        "group_by": asked.group_by,
        "top_k": options.top_k,
        "country": options.country,
        "species": fingerprint(sorted(options.species)) if options.species else None,
    }
    with AnswerFile(output, layout, made_by) as file:
        left = _left(photos, file.done, asked.format)
        if len(left) < len(photos):
            _tell(f"{output} has answers for {len(photos) - len(left)} of {len(photos)} photos")
        with _progress(len(left)) as bar:
            for answers in package.answers(left, options):
                file.add(layout.entries([answer for _, answer in answers]))
                bar.update(len(answers))
    return 0


def _left(photos: Sequence[Photo], done: set[str], kind: str) -> list[Photo]:
    """The photos of observations of which any answer is missing: they are answered together."""
    by_observation = kind == "dwc"

    def is_done(photo: Photo) -> bool:
        return (occurrence_id(photo.observation_id) if by_observation else photo.path) in done

    missing = {photo.observation_id for photo in photos if not is_done(photo)}
    return [photo for photo in photos if photo.observation_id in missing]


def _to_stdout(package: Package, photos: Sequence[Photo], options: Options, layout: Entries) -> None:
    write, glue = sys.stdout.write, layout.first
    write(layout.head)
    with _progress(len(photos)) as bar:
        for answers in package.answers(photos, options):
            for entry in layout.entries([answer for _, answer in answers]):
                write(glue + entry)
                glue = layout.between
            sys.stdout.flush()
            bar.update(len(answers))
    write(layout.tail)


def _layout(kind: str, package: Package, options: Options) -> Entries:
    if kind == "megadetector":
        species = dict(zip(package.species.names, map(str, package.class_ids.tolist()), strict=True))
        free = int(package.class_ids.max()) + 1
        others = [*package.species.genera, VENOMOUS_UNSURE]
        numbers = species | {name: str(free + number) for number, name in enumerate(others)}
        finder = package.crops.finder.fingerprint_parts() if package.crops else None
        return MegaDetector(numbers, package.name, str(finder["finder"]) if finder else None)
    if kind == "dwc":
        return DarwinCore(package.name, options.country)
    return JsonLines() if kind == "jsonl" else Csv()


def _progress(photos: int) -> tqdm[NoReturn]:
    """A bar on a terminal, nothing elsewhere."""
    return tqdm(total=photos, unit="photo", disable=None if sys.stderr.isatty() else True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is below 1")
    return number


def _species_in(file: Path) -> tuple[str, ...]:
    lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _model_of_the_store(home: Path) -> Path:
    store = os.environ.get("SNAKE_STORE") or str(home / "store")
    if "://" in store:
        raise IdentificationError(
            f"SNAKE_STORE={store} is no folder: copy {store}/model_package to one, say with `gcloud storage "
            "cp -r`, and name it with --model."
        )
    return Path(store).expanduser() / "model_package"


def _tell_what_is_weighted(package: Package, options: Options) -> None:
    weights = package.weights(options)
    if weights is None:
        return
    less = int(((weights > 0) & (weights < 1)).sum())
    _tell(
        f"of {len(weights)} species {int((weights > 0).sum())} come into question"
        + (
            f"; {less} that were never recorded in {options.country} are down-weighted"
            if options.country
            else ""
        )
    )


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
