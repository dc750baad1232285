"""Whether processes reach beyond this machine: each Python process that is started here writes it down.

A hook of the interpreter (`sys.addaudithook`) sees every connection and every name that is looked up, in any
child too, because children inherit PYTHONPATH.
"""

import os
from pathlib import Path

HOOK = """
import ipaddress, os, sys

def beyond(host):
    try:
        return not ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return str(host) not in ("localhost", "", "None")

def watch(event, arguments):
    if event == "socket.connect":
        host = arguments[1][0] if isinstance(arguments[1], tuple) else "localhost"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
    elif event == "socket.sendto":
        host = arguments[1][0] if isinstance(arguments[1], tuple) else "localhost"
    else:
        return
    # A process's own name is looked up to tell it, not to reach it.
    if beyond(host) and host not in (os.uname().nodename, "0.0.0.0", "::"):
        line = f"{event} {host} by {' '.join(sys.orig_argv)[:200]}\\n".encode()
        file = os.open(os.environ["SNAKE_WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)

sys.addaudithook(watch)
"""


class Watch:
    """What the processes that are started with `environment` reach."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(HOOK)
        self._found = folder / "reached.txt"
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        self.environment = {"PYTHONPATH": path, "SNAKE_WATCHED": str(self._found)}

    @property
    def reached(self) -> list[str]:
        """A line for each attempt to reach something beyond loopback."""
        return self._found.read_text().splitlines() if self._found.is_file() else []
