"""`snake-assets review`: which photos a person should name, because their label would teach the most.

The likeliest species take turns, and of each the photo comes first whose two likeliest species are nearest to
each other (margin sampling: Scheffer, Decomain and Wrobel, "Active Hidden Markov Models for Information
Extraction", 2001). One photo of an observation is asked for, and none that is nearly a copy of one before.
`benchmarks.review` says what that is worth. What is written is read back by `snake-assets review import`
(reviewed.py).
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import polars as pl

from snake_assets.identification import reviewed
from snake_assets.identification.command import model_of_the_store
from snake_assets.identification.exports import SCHEMA, UNKNOWN
from snake_assets.identification.gallery import Vectors
from snake_assets.identification.identify import IdentificationError, Package
from snake_assets.identification.package import load_package
from snake_assets.identification.photos import Photo
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.storage.fingerprints import Json, bytes_digest
from snake_assets.storage.local_files import write_whole
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import open_table

ABOUT = """Choose the photos whose label would teach the most, for people to name: a table for a spreadsheet,
and tasks for Label Studio beside it (FILE.json). Filled in, or exported as JSON, they are photos of train by
`snake-assets review import FILE...`.

Exit status: 0 when that was done; 2 for a call that cannot be done, with a sentence that says why."""
IMPORT = "import"
# What is read of the answers.
READ = ("path", "observation_id", "answer", "level", "probability", "p_venomous", "top_k", "look_alikes")
COLUMNS = (
    *("path", "species", "class_id", "guess", "probability", "p_venomous"),
    *("candidates", "look_alikes", "why", "observation_id"),
)
# Cosine of CLS tokens less their mean. Above it are, but for exact copies, 2 pairs of 910 real photos.
NEAR_COPY = 0.95
# Photos that are looked at together while there are not yet enough.
AT_ONCE = 64
# Below it, the two likeliest species are told as a doubt.
DOUBT = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description = argparse.RawDescriptionHelpFormatter, ABOUT
    add = parser.add_argument
    of_paths = (
        "answers of `predict` (.csv, .jsonl, .parquet), or the folder of identifications; or the word import "
        "and files that were filled in (.csv, or .json of Label Studio)"
    )
    of_data = "raw data that photos are imported into, and whose imported ones are not asked for again"
    of_photos = "where the paths in them start from (default: this folder)"
    add("paths", nargs="+", type=Path, metavar="PATH", help=of_paths)
    add("-o", "--output", type=Path, metavar="FILE", help="the table that is written, a .csv")
    add("--count", type=int, default=100, metavar="N", help="how many photos are asked for (default: 100)")
    add("--photos", type=Path, default=Path(), metavar="FOLDER", help=of_photos)
    add("--data", type=Path, metavar="FOLDER", help=f"{of_data} (default: SNAKE_DATA)")
    add("--model", type=Path, metavar="FOLDER", help="the package (default: that of the store)")
    device = os.environ.get("SNAKE_DEVICE", "auto")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default=device)


def run(asked: argparse.Namespace) -> int:
    """Do it; returns the exit status.

    Raises:
        ValueError: of the rooms' own kinds, for what the user has to change.
        OSError: a file cannot be read or written.
    """
    named = asked.data or Path(os.environ.get("SNAKE_DATA") or "")
    data = named if named != Path() and "://" not in str(named) else None
    if asked.paths[0] == Path(IMPORT):
        if data is None:
            raise IdentificationError(
                f"Photos are imported into a folder of raw data, not {str(named)!r}: name it with --data or "
                "SNAKE_DATA. From a bucket, copy metadata/ and train/ to a folder, and the outcome back."
            )
        for line in reviewed.import_reviewed(asked.paths[1:], asked.photos, data):
            sys.stderr.write(f"{line}\n")
        return 0
    output: Path | None = asked.output
    if output is None or output.suffix != ".csv" or asked.count < 1:
        raise IdentificationError("Name the table to write, with -o FILE.csv, and a --count of 1 or more.")
    for file in (output, output.with_suffix(".json")):
        if file.exists():
            raise IdentificationError(f"{file} is there already, maybe filled in: name another file with -o.")
    answers = read_answers(asked.paths)
    package = load_package(asked.model or model_of_the_store(asked.home), asked.device)
    photos = [
        Photo(path, path if observation is None else observation, asked.photos / path)
        for path, observation in answers.select("path", "observation_id").iter_rows()
    ]
    chosen, why = _asked_for(answers, photos, package, reviewed.known_contents(data), asked.count)
    if not chosen:
        raise IdentificationError(
            f"None of the {len(photos)} photos is to be asked for: they are reviewed, or not there "
            f"({asked.photos / photos[0].path} for one: say with --photos where paths start)."
        )
    rows = [
        _row(answer, reason)
        for answer, reason in zip(answers[chosen].iter_rows(named=True), why, strict=True)
    ]
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    # By the mark at its start a spreadsheet knows that it is UTF-8.
    write_whole(output, table.getvalue().encode("utf-8-sig"))
    tasks = [
        _task(row, answers["top_k"][place], package.name) for row, place in zip(rows, chosen, strict=True)
    ]
    write_whole(output.with_suffix(".json"), json.dumps(tasks, ensure_ascii=False, indent=1).encode())
    sys.stderr.write(f"{len(rows)} of {len(photos)} photos are asked for\n")
    return 0


def read_answers(paths: Sequence[Path]) -> pl.DataFrame:
    """Answers to readable photos, a row each, with the columns `READ`; of a path that comes twice the first.

    Args:
        paths: files of `predict` (.csv, .jsonl, .parquet), tables, and folders of tables.

    Raises:
        IdentificationError: there is none, or a file is not of `predict`.
        StorageError: a table is damaged.
    """
    found = pl.concat([frame for path in paths for frame in _frames(path)]).unique(
        "path", maintain_order=True
    )
    found = found.filter(pl.col("level") != "unreadable", pl.col("top_k").list.len() > 0)
    if found.is_empty():
        raise IdentificationError(f"There is no answer to a photo in {', '.join(map(str, paths))}.")
    return found


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    if path.is_dir():
        folders = [one for one in (path, *sorted(path.iterdir())) if one.is_dir() and read_manifest(one)]
        if not folders:
            raise IdentificationError(f"{path} holds no table of answers: name one, or a file of `predict`.")
        yield from (pl.DataFrame(open_table(one).read(READ)) for one in folders)
        return
    if not path.is_file():
        raise IdentificationError(f"{path} does not exist: name a file that `snake-assets predict` wrote.")
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path, columns=[*READ])
        elif path.suffix == ".jsonl":
            frame = pl.read_ndjson(path, schema={**SCHEMA, "file": pl.String()})
            # Of photos that the page keeps, `path` is the name that they came with.
            frame = frame.with_columns(path=pl.coalesce("file", "path"))
        else:
            frame = pl.read_csv(path, infer_schema=False)
            lists = [name for name in READ if isinstance(SCHEMA[name], pl.List)]
            frame = frame.with_columns(pl.col(name).str.json_decode(SCHEMA[name]) for name in lists)
        yield frame.select(pl.col(name).cast(SCHEMA[name]) for name in READ)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise IdentificationError(
            f"{path} cannot be read as answers of `snake-assets predict` (csv, jsonl, parquet): "
            f"{str(error).partition(chr(10))[0]}"
        ) from error


def margins(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """How far the likeliest species is before the next: [N] of probabilities [N, C], one column or more."""
    ordered = -np.sort(-np.hstack([probabilities, np.zeros((len(probabilities), 1))]), axis=1)
    return np.asarray(ordered[:, 0] - ordered[:, 1])


def choose(
    margin: npt.NDArray[np.floating],
    guess: Sequence[str],
    observation_id: Sequence[str],
    vectors: Callable[[Sequence[int]], Sequence[Vectors | None]],
    count: int,
) -> list[int]:
    """Rows of the photos whose label would teach the most, at most `count`, the most telling one first.

    Args:
        margin: of each of N photos, [N].
        guess: its likeliest species, by which photos are chosen in turn.
        observation_id: of each; one photo of an observation is chosen.
        vectors: gives those of some rows, as `centred` does, each [D]; None of a photo that is out of the
            question.
        count: how many are wanted.
    """
    first: dict[str, int] = {}
    for row in np.argsort(margin, kind="stable").tolist():
        first.setdefault(observation_id[row], row)
    turn: dict[int, int] = {}
    turns: Counter[str] = Counter()
    for row in first.values():
        turn[row] = turns[guess[row]]
        turns[guess[row]] += 1
    rows, chosen = sorted(turn, key=lambda row: turn[row]), list[int]()
    taken: list[Vectors] = []
    for start in range(0, len(rows), AT_ONCE):
        piece = rows[start : start + AT_ONCE]
        for row, vector in zip(piece, vectors(piece), strict=True):
            if vector is None or (taken and float((np.stack(taken) @ vector).max()) > NEAR_COPY):
                continue
            chosen.append(row)
            taken.append(vector)
            if len(chosen) == count:
                return chosen
    return chosen


def centred(classifier: SpeciesClassifier, table: FeatureTable) -> Vectors:
    """CLS tokens less the mean of those that were trained on, of length 1, float32 [N, D], for `choose`."""
    found = table.blocks[CLS] - classifier.neighbours.mean
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(length > 0, length, 1), np.float32)


def _asked_for(
    answers: pl.DataFrame, photos: Sequence[Photo], package: Package, known: frozenset[str], count: int
) -> tuple[list[int], list[str]]:
    """The rows that are chosen, and why, in words."""
    classifier, said = package.classifier, dict[str, str]()

    def vectors(rows: Sequence[int]) -> list[Vectors | None]:
        table = package.features([photo for row in rows if not _is_known(photo := photos[row], known)])
        if not len(table):
            return [None] * len(rows)
        own = dict(zip(table.image_id, centred(classifier, table), strict=True))
        parts = (classifier.head_probabilities(table), classifier.votes(table))
        heads, votes = ([package.species.names[one] for one in part.argmax(axis=1)] for part in parts)
        for path, head, vote in zip(table.image_id, heads, votes, strict=True):
            if head != vote:
                said[path] = f"the head says {head}, the nearest photos say {vote}"
        return [own.get(photos[row].path) for row in rows]

    margin = margins(_two_likeliest(answers))
    guess = [likely[0]["species"] for likely in answers["top_k"].to_list()]
    chosen = choose(margin, guess, [photo.observation_id for photo in photos], vectors, count)
    why = []
    for row in chosen:
        likely = answers["top_k"][row].to_list()
        reasons = ["it looks like none of the species"] if answers["level"][row] == "unknown" else []
        if len(likely) > 1 and margin[row] < DOUBT:
            reasons.append(f"{likely[0]['species']} is hardly likelier than {likely[1]['species']}")
        reasons += [said[path]] if (path := photos[row].path) in said else []
        why.append("; ".join(reasons) or "the others are surer still")
    return chosen, why


def _is_known(photo: Photo, known: frozenset[str]) -> bool:
    try:
        return bool(known) and bytes_digest(photo.read()) in known
    except OSError:
        return False


def _two_likeliest(answers: pl.DataFrame) -> npt.NDArray[np.floating]:
    likely = pl.col("top_k").list.eval(pl.element().struct.field("probability"))
    return answers.select(
        first=likely.list.get(0), second=likely.list.get(1, null_on_oob=True).fill_null(0.0)
    ).to_numpy()


def _row(answer: dict[str, Json], why: str) -> dict[str, str]:
    path, observation_id = str(answer["path"]), answer["observation_id"]
    alone = observation_id in (None, path)
    return {
        # A spreadsheet computes what begins so.
        "path": f"./{path}" if path.startswith(("=", "+", "-", "@")) else path,
        "species": "",
        "class_id": "",
        "guess": str(answer["answer"] or UNKNOWN),
        "probability": _two_digits(answer["probability"]),
        "p_venomous": _two_digits(answer["p_venomous"]),
        "candidates": _listed(answer["top_k"], "probability"),
        "look_alikes": _listed(answer["look_alikes"], "similarity"),
        "why": why,
        # Never a bare number, for a spreadsheet rounds long ones.
        "observation_id": "" if alone else f"observation {observation_id}",
    }


def _two_digits(value: Json) -> str:
    return "" if value is None else f"{float(str(value)):.2f}"


def _listed(likely: Json, figure: str) -> str:
    """Species with a figure each, of a species the first."""
    found: dict[str, str] = {}
    for one in likely if isinstance(likely, list) else []:
        found.setdefault(one["species"], _two_digits(one[figure]))
    return "; ".join(f"{name} {value}" for name, value in found.items())


def _task(row: dict[str, str], likely: pl.Series, model: str) -> dict[str, Json]:
    """A task of Label Studio, with the guess as its prediction (docs/review.md has the labelling config).

    The format is that of https://labelstud.io/guide/predictions.
    """
    names = [str(one["species"]) for one in likely.to_list()]
    guess: Json = {
        "from_name": "species",
        "to_name": "photo",
        "type": "choices",
        "value": {"choices": names[:1]},
    }
    return {
        "data": {
            **row,
            "image": f"/data/local-files/?d={quote(row['path'].lstrip('/'))}",
            "choices": [{"value": name} for name in names],
        },
        "predictions": [{"model_version": model, "score": likely[0]["probability"], "result": [guess]}],
    }
