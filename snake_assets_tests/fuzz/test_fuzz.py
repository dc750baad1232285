"""A fixed slice of the fuzzing (make fuzz does the rest), and that it notices what it is there to notice."""

import ctypes
import os
import resource
import signal
from pathlib import Path

import pytest

from snake_assets_tests.fuzz.driving import drive
from snake_assets_tests.fuzz.readers import build_targets
from snake_assets_tests.fuzz.target import Target
from snake_assets_tests.interrupting import Job

CASES = {
    **{"metadata": 100, "archives": 100, "photos": 150, "masks": 50},
    **{"shards": 80, "classifier": 80, "boxes": 60},
}


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return build_targets(tmp_path_factory.mktemp("seeds"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_changed_files_are_read_or_refused(targets: dict[str, Target], name: str):
    outcomes = [targets[name].try_case("fixed", number) for number in range(CASES[name])]
    assert {"read", "refused"} == set(outcomes)


def test_a_case_is_the_same_for_the_same_seed_and_number(targets: dict[str, Target], tmp_path: Path):
    again = build_targets(tmp_path)["photos"]
    inputs = [targets["photos"].content("fixed", number)[1] for number in range(40, 80)]
    assert inputs == [again.content("fixed", number)[1] for number in range(40, 80)]
    assert len(set(inputs)) > 30
    assert inputs != [targets["photos"].content("other", number)[1] for number in range(40, 80)]


def misbehaving() -> Job:
    def job(number: int) -> tuple[str, str, int]:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number == 1:
            ctypes.string_at(0)
        if number == 3:
            os.kill(os.getpid(), signal.SIGXCPU)
        return "crashed" if number == 5 else "read", "a fault", 7

    return job


def test_crashes_of_libraries_hangs_and_faults_are_counted_and_the_rest_is_tried():
    tally = drive("any", 8, misbehaving)
    assert (tally.outcomes, tally.peak_mb) == ({"read": 5, "crashed": 2, "hung": 1}, 7)
    assert tally.faults.keys() == {1, 3, 5}
    assert tally.faults[5] == "a fault"
