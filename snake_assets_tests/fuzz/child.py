"""The process that tries cases of one target: python -m snake_assets_tests.fuzz.child TARGET SEED FIRST END.

It says what it does on stdout, a JSON line before each case and one after it, and dies where a case is a
crash of a library, or takes too long: whoever started it knows by the last line which case that was.
"""

import json
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from snake_assets_tests.fuzz.readers import build_targets

# Above what Python and its libraries reserve (2 GB) it leaves the 1.8 GB of the largest WEBP.
MOST_ADDRESS_SPACE = 6 << 30
# Of all threads together: waiting for a busy machine is no hang. A deadlock takes no processor time.
MOST_PROCESSOR_SECONDS, MOST_SECONDS = 10, 120


def main(target_name: str, seed: str, first: str, end: str) -> None:
    """Try the cases from `first` up to `end`."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESS_SPACE, MOST_ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="snake-fuzz-seeds-") as workspace:
        target = build_targets(Path(workspace))[target_name]
        for number in range(int(first), int(end)):
            say(case=number)
            # Nobody handles the signals: they end the process, in whatever library it is.
            signal.setitimer(signal.ITIMER_PROF, MOST_PROCESSOR_SECONDS)
            signal.alarm(MOST_SECONDS)
            try:
                outcome, fault = target.try_case(seed, number), ""
            except BaseException:
                outcome, fault = "crashed", traceback.format_exc()
            signal.setitimer(signal.ITIMER_PROF, 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            say(case=number, outcome=outcome, fault=fault, peak_mb=peak)


def say(**content: object) -> None:
    """Write a JSON line, at once."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
