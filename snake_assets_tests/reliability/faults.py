"""Faults and limits that tests bring about: each test with the mark `fault` is one that was tried."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from snake_assets_tests.reliability.page import Row

CRASHES, WHOLE_JOB, HOSTILE = "crashes", "the whole job, killed at random", "hostile files"
# What tests say in their mark, in the order of the page.
FAULTS = {
    CRASHES: (
        "a table, its writer killed at each of its steps",
        "a bundle, its writer killed at each of its steps",
        "the lock of a writer that was killed",
        "an embedding pass, killed at random",
        "a pass of the finder, killed at random",
    ),
    "disks, rights, clocks, writers": (
        "a full disk or a quota, at eight fillings; a full disk for each asset",
        "a store that is read-only",
        "a store that may not be written, or read",
        "two runs of one split at once",
        "a clock that jumps",
    ),
    "silent corruption": (
        "a shard that was exchanged for a valid one",
        "a shard with a flipped bit, of which a part is read",
    ),
    "buckets (an emulator)": (
        "requests that fail, stall or are cut short; refusals",
        "two writers, and writers that stop half way",
    ),
    "limits": (
        "splits of no, one or two photos",
        "class lists of one and of 10,000",
        "odd names of folders and photos",
        "open files and address space; 20,000 photos",
    ),
    HOSTILE: ("archives", "metadata", "photos", "shards", "models"),
}


def rows_of_faults() -> list[Row]:
    """Run the marked tests; what this machine cannot try (a mount, another user) is not counted."""
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-m", "fault", "--full", f"--junit-xml={results}"]
        subprocess.run(command, stdout=sys.stderr, check=False)
        return count(results)


def count(results: Path) -> list[Row]:
    """Rows of what pytest wrote. A test that failed counts as a loss: each holds that nothing is lost."""
    tried, failed = dict.fromkeys(_words(), 0), dict.fromkeys(_words(), 0)
    for case in ElementTree.parse(results).iter("testcase"):
        told = {one.attrib["name"]: one.attrib["value"] for one in case.iterfind("properties/property")}
        if case.find("skipped") is None:
            tried[told["fault"]] += int(told.get("tried", 1))
        failed[told["fault"]] += case.find("failure") is not None or case.find("error") is not None
    return [
        Row(kind, word, tried[word], tried[word] - failed[word], failed[word])
        for kind, words in FAULTS.items()
        for word in words
    ]


def _words() -> list[str]:
    return [word for words in FAULTS.values() for word in words]
