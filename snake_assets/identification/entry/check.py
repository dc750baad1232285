"""`snake-assets entry check`: runs an entry as the competition's runner does, and says what would lose it."""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from snake_assets.identification.entry.build import METADATA, SCRIPT
from snake_assets.identification.identify import IdentificationError
from snake_assets.snakeclef.csv_reader import read_rows
from snake_assets.snakeclef.submission import COLUMNS, SUBMISSION_FILE, read_submission
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.table import open_table

ABOUT = """Run an entry on photos of the test split as the competition's runner does: without network, further
processes and home folder, its repository read-only, in an environment of old versions (made at the first
call). Its answers are compared with the submission.

Exit status: 0 where nothing is wrong; 1 where the entry would be lost or answers otherwise, which is said;
2 for a call that cannot be done."""

# The oldest transformers that the runner was seen with, and a torch of that time.
PINS = ("torch==2.1.2", "transformers==4.37.2", "numpy==1.26.4", "pillow==10.2.0", "safetensors==0.4.2")
PYTHON = "python3.10"
LIMIT_S, OFFICIAL_PHOTOS = 60 * 60.0, 10_000
SANDBOX = Path(__file__).with_name("sandbox.py")
# No folder can be made below a device, not even by root.
NO_HOME = "/dev/null/home"
PHOTOS = "private_testset"


@dataclass(frozen=True)
class Run:
    """What an entry did.

    Attributes:
        status: of its exit; None where the time limit ended it.
        seconds: that it took.
        log: what it printed.
        rows: of submission.csv, the header first; None where it wrote none.
        refused: how sockets and processes were refused to it.
        asked: which of them it asked for, and where.
        written: files of the repository that it changed or added.
        read: files that it read, those of the repository and the data by their names there.
    """

    status: int | None
    seconds: float
    log: str
    rows: list[list[str]] | None
    refused: str
    asked: list[str]
    written: list[str]
    read: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description = argparse.RawDescriptionHelpFormatter, ABOUT
    add = parser.add_argument
    add("what", choices=("check",), help="what to do with it")
    add("folder", type=Path, metavar="FOLDER", help="the entry, such as .snake/store/competition_entry")
    add("--photos", type=int, metavar="N", help="whole observations with so many photos (default: all)")
    add("--python", metavar="PYTHON", help=f"makes the environment (default: {PYTHON}, else this Python)")
    add("--here", action="store_true", help="run it in this environment instead")


def run(asked: argparse.Namespace) -> int:
    """Do it; returns the exit status.

    Raises:
        IdentificationError: it is no entry, or the environment cannot be made.
        StorageError: the store has no submission, or not the photos of the test split.
    """
    store = os.environ.get("SNAKE_STORE") or str(asked.home() / "store")
    if "://" in store:
        raise IdentificationError(f"SNAKE_STORE={store} is no folder: copy it to one, and set it to that.")
    python = sys.executable if asked.here else environment(asked.home(), asked.python)
    with TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        expected, photos = lay_out(asked.folder, Path(store).expanduser(), asked.photos, data)
        found = run_entry(asked.folder, data, python)
    faults = list(faults_of(found, expected))
    equal = len(expected) - len(differing(found.rows or [], expected))
    lines = [
        *(f"  {line}" for line in found.log.splitlines()),
        f"environment  {_version(python)}, {'this one' if asked.here else ', '.join(PINS)}",
        f"refused      sockets and processes, by {found.refused}",
        *_speed(found, photos),
        *_files(found.read),
        f"answers      {equal:,} of {len(expected):,} equal those of the submission",
        *(f"wrong        {fault}" for fault in faults or ["nothing"]),
    ]
    sys.stdout.write("\n".join([*lines, ""]))
    return 1 if faults else 0


def environment(home: Path, python: str | None) -> str:
    """The Python of a virtual environment that holds the pinned versions and nothing else; made once.

    Args:
        home: folder that it is kept in.
        python: that it is made with.

    Raises:
        IdentificationError: it cannot be made.
    """
    wanted = python or PYTHON
    version = _version(wanted)
    if not version and python:
        raise IdentificationError(f"--python {python} is no Python that runs here: name another.")
    if not version:
        sys.stderr.write(f"{PYTHON}, which the runner has, does not run here: this Python is taken.\n")
        wanted, version = sys.executable, _version(sys.executable)
    folder = home / f"entry-runner-{fingerprint([version, *PINS])[:12]}"
    found, whole = folder / "bin" / "python", folder / "whole"
    if not whole.exists():
        sys.stderr.write(f"Making {folder}: {version}, {', '.join(PINS)} (some GB, minutes)\n")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            subprocess.run([wanted, "-m", "venv", folder], check=True)
            subprocess.run([found, "-m", "pip", "install", "--quiet", *PINS], check=True)
        except subprocess.CalledProcessError as error:
            raise IdentificationError(
                f"The runner's environment cannot be made with {wanted}; what failed stands above. Name "
                "another Python by --python, or run the entry in this environment by --here."
            ) from error
        whole.touch()
    return str(found)


def _version(python: str) -> str:
    """Such as `Python 3.10.13`; empty for what is no Python that runs."""
    try:
        return subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def lay_out(entry: Path, store: Path, most: int | None, data: Path) -> tuple[dict[str, int], int]:
    """Make the runner's data folder of photos of the test split: the archive of photos, and the metadata.

    Where all photos are taken, the metadata is left to the entry's own.

    Args:
        entry: folder with the test set's metadata.
        store: with `submission` and the test split's `image_table`.
        most: from so many photos on, no further observation is taken; None takes all.
        data: the folder to make.

    Returns:
        The answers of the submission to the observations taken, in their order, and the number of photos.

    Raises:
        IdentificationError: the folder is no entry, or the submission is for other observations.
        StorageError: a table or the submission is missing.
    """
    if not (entry / SCRIPT.name).is_file() or not (entry / METADATA).is_file():
        raise IdentificationError(
            f"{entry} has no {SCRIPT.name} or no {METADATA}: make it by the job `entry`."
        )
    photos: dict[str, list[str]] = {}
    for row in read_rows(entry / METADATA, ["observation_id", "filename"]):
        photos.setdefault(row.exact("observation_id"), []).append(row.exact("filename"))
    answers = read_submission(open_bundle(store / "submission").path(SUBMISSION_FILE))
    if list(answers) != list(photos):
        raise IdentificationError(
            f"{entry} is for other observations than the submission in {store}: run the job `entry` again."
        )
    taken: list[tuple[str, str]] = []
    for name, files in photos.items():
        if most is not None and len(taken) >= most:
            break
        taken += [(name, file) for file in files]
    wanted = {file for _, file in taken}
    data.mkdir(parents=True)
    images = open_table(store / "image_table" / "test")
    with zipfile.ZipFile(data / f"{PHOTOS}.zip", "w") as archive:
        for shard in images.manifest.shards:
            for row in images.read_shard(shard, ["image_id", "image"]).to_pylist() if wanted else ():
                if row["image_id"] in wanted:
                    wanted.remove(row["image_id"])
                    archive.writestr(f"{PHOTOS}/{row['image_id']}", row["image"])
    observations = dict.fromkeys(name for name, _ in taken)
    if len(observations) < len(photos):
        with (data / METADATA).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("observation_id", "filename"), *taken])
    return {name: answers[name] for name in observations}, len(taken)


def run_entry(entry: Path, data: Path, python: str, limit_s: float = LIMIT_S) -> Run:
    """Run a copy of an entry in the sandbox.

    Args:
        entry: its folder; what starts with "_" is the store's and left out.
        data: the folder that stands for /tmp/data.
        python: that runs it.
        limit_s: after so many seconds it is ended.
    """
    data = data.resolve()
    with TemporaryDirectory() as scratch:
        repository, work, told = (Path(scratch).resolve() / name for name in ("repository", "work", "told"))
        shutil.copytree(entry, repository, ignore=shutil.ignore_patterns("_*"))
        work.mkdir()
        for file in (*repository.rglob("*"), *data.rglob("*")):
            # From now on the time of access shows what was read, by libraries past Python's `open` too.
            os.utime(file, ns=(0, file.stat().st_mtime_ns))
            if repository in file.parents and file.is_file():
                file.chmod(0o444)
        repository.chmod(0o555)
        before = _contents(repository)
        passed = {name: value for name, value in os.environ.items() if name in ("OMP_NUM_THREADS", "LANG")}
        places = {"HOME": NO_HOME, "TMPDIR": str(work), "SNAKE_ENTRY_DATA": str(data)}
        began, status, log = time.monotonic(), None, b""
        try:
            done = subprocess.run(
                [python, SANDBOX, told, repository / SCRIPT.name],
                cwd=work,
                env={"PATH": "/usr/bin:/bin", **passed, **places},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=limit_s,
                check=False,
            )
            status, log = done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            log = late.stdout or b""
        seconds = time.monotonic() - began
        after = _contents(repository)
        lines = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
        read = {Path(line["path"]) for line in lines if line["event"] == "open"}
        read |= {path for path in (*after, *data.rglob("*")) if path.stat().st_atime_ns > 0}
        repository.chmod(0o755)
        answers = work / SUBMISSION_FILE
        return Run(
            status=status,
            seconds=seconds,
            log=log.decode("utf-8", "replace"),
            rows=list(csv.reader(answers.read_text().splitlines())) if answers.is_file() else None,
            refused=next((line["by"] for line in lines if line["event"] == "refused"), "nothing"),
            asked=[f"a {line['event']} ({line['where']})" for line in lines if "where" in line],
            written=sorted(path.name for path in after if after[path] != before.get(path)),
            read=sorted(
                str(path).replace(f"{repository}/", "repository/").replace(f"{data}/", "data/")
                for path in read
                if path.is_file() and path != SANDBOX and work not in path.parents
            ),
        )


def _contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of every file."""
    files = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path: (status.st_size, status.st_mtime_ns) for path, status in files.items()}


def faults_of(found: Run, expected: Mapping[str, int]) -> Iterator[str]:
    """What would lose the entry, or make its score another than the submission's, in sentences.

    Args:
        found: what it did.
        expected: observation_id -> class_id, in the order of the metadata.
    """
    if found.status is None:
        yield f"It was ended by the time limit, after {found.seconds:.0f} s."
    elif found.status:
        yield f"It ended with exit status {found.status}: {found.log.strip().splitlines()[-1:]}"
    for what in found.asked:
        yield f"It asked for {what}: the runner refuses that."
    if found.written:
        yield f"It wrote into its repository, which may be read-only: {', '.join(found.written[:5])}."
    if found.rows is None:
        yield f"It wrote no {SUBMISSION_FILE} into the working folder."
        return
    if tuple(found.rows[0] if found.rows else ()) != COLUMNS:
        yield f"The first line of {SUBMISSION_FILE} is {found.rows[:1]}, not {','.join(COLUMNS)}."
    named = [row[0] for row in found.rows[1:] if row]
    if named != list(expected):
        missing = [name for name in expected if name not in set(named)]
        others = [name for name in named if name not in expected]
        yield (
            f"{len(named)} rows for {len(expected)} observations, in their order: {len(missing)} missing "
            f"{missing[:3]}, {len(others)} unknown {others[:3]}, {len(named) - len(set(named))} doubled."
        )
    if odd := [row for row in found.rows[1:] if len(row) != len(COLUMNS) or not row[1].isdecimal()]:
        yield f"{len(odd)} rows hold no class_id, such as {odd[0]}."
    if other := differing(found.rows, expected):
        yield f"{len(other)} answers are not the submission's, such as of observation {other[0]}."


def differing(rows: Sequence[Sequence[str]], expected: Mapping[str, int]) -> list[str]:
    """Observations whose answer is not the expected one."""
    answered = {row[0]: row[1] for row in rows[1:] if len(row) == len(COLUMNS)}
    return [name for name, class_id in expected.items() if answered.get(name) != str(class_id)]


def _speed(found: Run, photos: int) -> list[str]:
    """How fast it was, by its own word for the photos alone where it gives one."""
    told = [float(rate) for rate in re.findall(r"([\d.]+) photos a second", found.log)]
    rate = told[-1] if told and told[-1] else photos / found.seconds
    whole = max(0.0, found.seconds - photos / rate) + OFFICIAL_PHOTOS / rate
    return [
        f"rate         {photos:,} photos in {found.seconds:.1f} s, {rate:.2f} photos a second",
        f"             {OFFICIAL_PHOTOS:,} would take {whole / 60:.1f} minutes on this machine",
    ]


def _files(read: Sequence[str]) -> list[str]:
    """Every file that was read; photos, and those of Python and its packages, by their number."""
    of_python = {path for path in read if re.search(r"/lib/python3|/site-packages/|^/usr/lib|\.cfg$", path)}
    photos = {path for path in read if path.startswith(f"data/{PHOTOS}/")}
    return [
        *(f"read         {path}" for path in read if path not in of_python | photos),
        f"read         {len(photos):,} photos, {len(of_python):,} files of Python and its packages",
    ]
