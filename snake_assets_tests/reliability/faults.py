"""Faults and limits that tests bring about: each test is one that was tried."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from snake_assets_tests.reliability.row import Row

CRASHES, MACHINES, CORRUPTION = "crashes", "disks, rights, clocks, writers", "silent corruption"
BUCKETS, LIMITS = "buckets (an emulator)", "limits"
WHOLE_JOB = "the whole job, killed at random"


@dataclass(frozen=True)
class Fault:
    """A class of faults, and the tests that bring them about: `file::name`, or `file` for all of a file."""

    kind: str
    words: str
    tests: tuple[str, ...]


FAULTS = (
    Fault(
        CRASHES,
        "a table, its writer killed at each of its steps",
        (
            "storage/test_kills::test_a_table_is_the_old_one_or_the_new_one_wherever_its_writer_is_killed",
            "storage/test_kills::test_a_first_table_is_whole_or_not_there_wherever_its_writer_is_killed",
        ),
    ),
    Fault(
        CRASHES,
        "a bundle, its writer killed at each of its steps",
        (
            "storage/test_kills::test_a_bundle_is_the_old_one_or_the_new_one_wherever_its_writer_is_killed",
            "storage/test_kills::test_a_bundle_that_goes_on_from_the_one_before_loses_nothing_of_it",
        ),
    ),
    Fault(
        CRASHES,
        "the lock of a writer that was killed",
        ("storage/test_kills::test_a_kill_frees_the_lock_although_a_helper_lives_on",),
    ),
    Fault(CRASHES, "an embedding pass, killed at random", ("vision/test_embedding_kills",)),
    Fault(CRASHES, "a pass of the finder, killed at random", ("detection/test_finding_kills",)),
    Fault(
        MACHINES,
        "a full disk or a quota, at eight fillings; a full disk for each asset",
        ("test_disk_faults::test_a_full_disk", "defs/assets/test_full_disk"),
    ),
    Fault(MACHINES, "a store that is read-only", ("test_disk_faults::test_a_read_only_store",)),
    Fault(
        MACHINES,
        "a store that may not be written, or read",
        (
            "test_disk_faults::test_a_store_of_somebody_else_can_be_read_and_is_left_alone",
            "test_disk_faults::test_what_may_not_be_read_is_named",
        ),
    ),
    Fault(
        MACHINES,
        "two runs of one split at once",
        ("test_disk_faults::test_of_two_runs_at_once_one_wins_and_the_other_says_so",),
    ),
    Fault(
        MACHINES,
        "a clock that jumps",
        (
            "test_clocks",
            "defs/automation/test_sensors::test_a_clock_that_jumps_makes_no_orphan_of_a_run",
        ),
    ),
    Fault(
        CORRUPTION,
        "a shard that was exchanged for a valid one",
        ("storage/test_everywhere::test_another_file_in_the_place_of_a_shard_is_noticed",),
    ),
    Fault(
        CORRUPTION,
        "a shard with a flipped bit, of which a part is read",
        ("storage/tables/test_writer::test_whichever_bit_flips_reading_gives_what_was_written_or_says_so",),
    ),
    Fault(BUCKETS, "requests that fail, stall or are cut short; refusals", ("gcs/test_faults",)),
    Fault(BUCKETS, "two writers, and writers that stop half way", ("gcs/test_two_writers",)),
    Fault(LIMITS, "splits of no, one or two photos", ("limits/test_small_splits",)),
    Fault(LIMITS, "class lists of one and of 10,000", ("limits/test_class_lists",)),
    Fault(LIMITS, "odd names of folders and photos", ("limits/test_paths",)),
    Fault(LIMITS, "open files and address space; 20,000 photos", ("limits/test_many_photos",)),
)


def rows_of_faults() -> list[Row]:
    """Run the tests of `FAULTS`; what this machine cannot try (a mount, another user) is not counted."""
    tests = [test for fault in FAULTS for test in fault.tests]
    paths = [f"snake_assets_tests/{file}.py{colons}{name}" for file, colons, name in map(_parted, tests)]
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-m", "", f"--junit-xml={results}", *paths]
        subprocess.run(command, stdout=sys.stderr, check=False)
        return count(results)


def count(results: Path) -> list[Row]:
    """Rows of what pytest wrote. A test that failed counts as a loss: each holds that nothing is lost."""
    cases = list(ElementTree.parse(results).iter("testcase"))
    return [_row(fault, (case for case in cases if _is_of(fault, case))) for fault in FAULTS]


def _row(fault: Fault, cases: Iterable[ElementTree.Element]) -> Row:
    tried = failed = 0
    for case in cases:
        if case.find("skipped") is None:
            recorded = case.find("properties/property[@name='tried']")
            tried += 1 if recorded is None else int(recorded.attrib["value"])
        failed += case.find("failure") is not None or case.find("error") is not None
    return Row(fault.kind, fault.words, tried, tried - failed, failed)


def _is_of(fault: Fault, case: ElementTree.Element) -> bool:
    file = case.attrib["classname"].removeprefix("snake_assets_tests.").replace(".", "/")
    name = case.attrib["name"].partition("[")[0]
    return any(_parted(test)[0] == file and _parted(test)[2] in ("", name) for test in fault.tests)


def _parted(test: str) -> tuple[str, str, str]:
    return test.partition("::")
