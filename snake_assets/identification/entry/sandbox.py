"""Runs a script as the competition's sandbox does: without sockets and further processes.

    python sandbox.py REPORT SCRIPT

REPORT gets a line of JSON for how sockets and processes are refused, for every file that Python opens, and
for every socket or process that was asked for. Another Python runs it: standard library of 3.10 only.
"""

import ctypes
import errno
import json
import os
import platform
import runpy
import struct
import sys
from pathlib import Path
from typing import Any

# Numbers of Linux's system calls, and of the architecture that they are for (linux/audit.h).
CALLS = {
    "x86_64": {
        "arch": 0xC000003E,
        "socket": 41,
        "clone": 56,
        "fork": 57,
        "vfork": 58,
        "execve": 59,
        "execveat": 322,
    },
    "aarch64": {"arch": 0xC00000B7, "socket": 198, "clone": 220, "execve": 221, "execveat": 281},
}
CLONE3, CLONE_THREAD = 435, 0x10000
# seccomp(2), linux/filter.h
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
LOAD, EQUALS, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE, UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

SOCKETS = ("socket.__new__",)
PROCESSES = (
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "subprocess.Popen",
)


def refuse_by_seccomp() -> str:
    """Let the system refuse sockets and processes to this process, for good; empty, or why it does not."""
    calls = dict(CALLS.get(platform.machine(), {}))
    if sys.platform != "linux" or not calls:
        return f"no filter is known for {sys.platform} on {platform.machine()}"
    steps = [(LOAD, 0, 0, 4), (EQUALS, 1, 0, calls.pop("arch")), (RETURN, 0, 0, REFUSE), (LOAD, 0, 0, 0)]
    # Threads are clones that stay in their process. Without clone3 the C library takes clone, whose flags
    # can be read.
    steps += [(EQUALS, 0, 1, CLONE3), (RETURN, 0, 0, UNKNOWN)]
    clone = calls.pop("clone")
    for call in calls.values():
        steps += [(EQUALS, 0, 1, call), (RETURN, 0, 0, REFUSE)]
    steps += [(EQUALS, 0, 3, clone), (LOAD, 0, 0, 16), (ANY_BIT, 1, 0, CLONE_THREAD), (RETURN, 0, 0, REFUSE)]
    steps += [(RETURN, 0, 0, ALLOW)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    control = ctypes.CDLL(None, use_errno=True).prctl
    words = [ctypes.c_ulong] * 4
    control.argtypes = [ctypes.c_int, *words]
    if control(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or control(SECCOMP, FILTER, ctypes.addressof(header), 0, 0):
        return os.strerror(ctypes.get_errno())
    return ""


def run(report: Path, script: Path) -> None:
    """Run the script as `__main__`; returns or raises as it ends."""
    found = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    told: set[str] = set()

    def tell(**line: str) -> None:
        text = json.dumps(line)
        if text not in told:
            told.add(text)
            os.write(found, f"{text}\n".encode())

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            tell(event="open", path=os.path.abspath(os.fsdecode(arguments[0])))  # noqa: PTH100
        elif event in SOCKETS or event in PROCESSES:
            what = "socket" if event in SOCKETS else "process"
            if where := asked_for(script.parent):
                tell(event=what, where=where)
            raise PermissionError(errno.EPERM, f"a {what} is refused here")

    fault = refuse_by_seccomp()
    tell(event="refused", by="an audit hook" + (f" ({fault})" if fault else " and seccomp"))
    sys.addaudithook(watch)
    sys.argv, sys.path[0] = [str(script)], str(script.parent)
    # What the runner has not; an environment for development does.
    sys.modules["snake_assets"] = None  # type: ignore[assignment]
    runpy.run_path(str(script), run_name="__main__")


def asked_for(repository: Path) -> str:
    """Who asked for what was just refused; empty where a package that is being imported only tries.

    urllib3, say, opens a socket to see whether there is IPv6, and goes on without.
    """
    frame = sys._getframe(2)
    first = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        if name.startswith(str(repository)):
            return f"{Path(name).name}:{frame.f_lineno}"
        if name.startswith("<frozen importlib"):
            return ""
        frame = frame.f_back
    return first


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
