"""`snake-assets app`: a page on which people give photos of a snake and read what it may be.

Gradio carries the page, the uploads and the queue; one model answers one request after the other. Uploads lie
in a temporary folder of the process, and are deleted as soon as they are answered.
"""

import argparse
import hashlib
import ipaddress
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from types import FrameType

from snake_assets.identification.command import model_of_the_store
from snake_assets.identification.exports import Answer
from snake_assets.identification.identify import IdentificationError, Package
from snake_assets.identification.package import load_package
from snake_assets.identification.page_answer import answer_html, form_html, refusal_html
from snake_assets.identification.photos import MOST_BYTES, Photo, printable
from snake_assets.vision.errors import EmbeddingError

ABOUT = """Open a page on which snakes in photos are identified, for people without a command line.

It listens on this machine alone, sends nothing to anybody, and deletes photos once they are answered."""
MOST_PHOTOS, TOP_K = 10, 5
# From when on an upload is deleted that nobody asked about, since its browser was closed.
FORGOTTEN_S = 600
KEPT_FILE, SESSIONS = "kept.jsonl", 20
# The answer is where the eyes and the screen reader go next.
ANSWERED = """watch("value", () => {
  document.getElementById("snake-status").textContent = "";
  element.querySelector("h2")?.focus({ preventScroll: true });
  element.querySelector("section")?.scrollIntoView({ block: "start" });
});"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description = argparse.RawDescriptionHelpFormatter, ABOUT
    add = parser.add_argument
    device = os.environ.get("SNAKE_DEVICE", "auto")
    add("--model", type=Path, metavar="FOLDER", help="the package (default: that of the store)")
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on; others than this machine's want --auth-file",
    )
    add("--port", type=int, choices=range(1, 65536), default=7860, metavar="N", help="(default: 7860)")
    add("--auth-file", type=Path, metavar="FILE", help="who may open the page: user:password in each line")
    add("--keep", type=Path, metavar="FOLDER", help="where photos go whose box `keep for review` was ticked")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default=device)


def run(asked: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status.

    Raises:
        ValueError: of the rooms' own kinds, for what the user has to change.
        OSError: a file that was named cannot be read.
    """
    users = _users(asked.auth_file) if asked.auth_file else None
    if users is None and not _is_loopback(asked.host):
        raise IdentificationError(
            f"--host {asked.host} lets others than this machine's users in: name who may with --auth-file."
        )
    # Both are read as gradio is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with tempfile.TemporaryDirectory(prefix="snake-page-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        try:
            import gradio  # noqa: F401
        except ImportError:
            raise IdentificationError(
                "The page needs gradio, which is not installed: install snake-assets[app], or call make app."
            ) from None
        model = asked.model or model_of_the_store(asked.home)
        page = Page(load_package(model, asked.device), model, Path(uploads).resolve(), asked.keep)
        page.warm_up()
        stopped = threading.Event()

        def stop(*_: int | FrameType | None) -> None:
            stopped.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        with serve(page, asked.host, asked.port, users) as url:
            sys.stdout.write(f"The page is open at {url} (stop it with Ctrl+C).\n")
            sys.stdout.flush()
            stopped.wait()
    return 0


@dataclass(frozen=True)
class Page:
    """What answers requests of the page.

    Attributes:
        package: that answers.
        model: its folder.
        uploads: the only folder that requests can name files of.
        keep: where photos are kept whose user said so; None: nobody is asked.
        numbers: of the requests.
    """

    package: Package
    model: Path
    uploads: Path
    keep: Path | None = None
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def answer(self, photos: Sequence[Mapping[str, str]], country: str, keep: bool) -> str:
        """The answer for one snake as HTML, or the sentence why there is none; the uploads are gone then.

        Args:
            photos: `path` of each upload and the `name` that its user knows it by.
            country: code of where they were taken; empty: not known.
            keep: whether the user wants them kept for review.
        """
        number, paths = next(self.numbers), [Path(photo["path"]).resolve() for photo in photos]
        mine = [path for path in paths if path.is_relative_to(self.uploads) and path.is_file()]
        try:
            if not photos:
                return ""
            if len(mine) < len(paths):
                raise IdentificationError("A photo is no longer on the server: choose it again.")
            if len(photos) > MOST_PHOTOS:
                raise IdentificationError(
                    f"These are {len(photos)} photos: choose the best {MOST_PHOTOS} of this snake."
                )
            return self._answered(
                [Photo(printable(one["name"]), "", path) for one, path in zip(photos, paths, strict=True)],
                country,
                keep,
                number,
            )
        except (IdentificationError, EmbeddingError, OSError) as error:
            return refusal_html(str(error), number)
        finally:
            for path in mine:
                path.unlink(missing_ok=True)
            # Not sooner: a folder is named after the content, and may be about to get the same photo again.
            for left in self.uploads.iterdir():
                with suppress(OSError):
                    if left.stat().st_mtime < time.time() - FORGOTTEN_S:
                        shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _answered(self, photos: Sequence[Photo], country: str, keep: bool, number: int) -> str:
        weights = self.package.weights(country or None, None)
        (answers,) = self.package.answers(photos, weights, TOP_K, None)
        if keep and self.keep is not None:
            self._keep(photos, answers, country)
        return answer_html(self.package, self.model, photos, answers, number)

    def _keep(self, photos: Sequence[Photo], answers: Sequence[Answer], country: str) -> None:
        """Copy photos by the digest of their content, and write a line about each."""
        assert self.keep is not None
        self.keep.mkdir(parents=True, exist_ok=True)
        with (self.keep / KEPT_FILE).open("a", encoding="utf-8") as lines:
            for photo, answer in zip(photos, answers, strict=True):
                data = photo.read()
                name = hashlib.sha256(data).hexdigest() + Path(photo.path).suffix[:6].lower()
                (self.keep / name).write_bytes(data)
                about = {"file": name, "kept": datetime.now(UTC).isoformat(), "country": country}
                lines.write(json.dumps(about | {"model": self.package.name, **answer.row()}) + "\n")

    def warm_up(self) -> None:
        """Answer a photo of the gallery, so that the first user does not wait longer than the next."""
        self.package.identify([self.model / self.package.gallery.files[0]])


@contextmanager
def serve(page: Page, host: str, port: int, users: Sequence[tuple[str, str]] | None = None) -> Iterator[str]:
    """The page on a port, while the context lasts; gives its address.

    Args:
        page: that answers.
        host: to listen on.
        port: likewise.
        users: name and password of those who may open it; None: everybody who reaches it.

    Raises:
        IdentificationError: the port or the address cannot be had.
    """
    import gradio

    def answered(event: gradio.EventData) -> str:
        return page.answer(event.photos, event.country, event.keep)

    def failed() -> str:
        return refusal_html("The program failed, and says how where it was started.", next(page.numbers))

    countries = page.package.records["code"].unique().sort().to_list()
    with gradio.Blocks(
        analytics_enabled=False, title="Which snake is this?", delete_cache=(FORGOTTEN_S, FORGOTTEN_S)
    ) as blocks:
        form = gradio.HTML(
            form_html(MOST_PHOTOS, MOST_BYTES, countries, page.keep is not None),
            js_on_load=files(__package__).joinpath("page.js").read_text(),
            apply_default_css=False,
        )
        answer = gradio.HTML(js_on_load=ANSWERED, apply_default_css=False)
        asked = form.submit(
            answered,
            None,
            answer,
            # Each of several requests of one browser counts, the last of them most.
            trigger_mode="multiple",
            concurrency_limit=1,
            show_progress="hidden",
            api_visibility="private",
        )
        asked.failure(failed, None, answer, show_progress="hidden", api_visibility="private")
    try:
        _, url, _ = blocks.launch(
            server_name=host,
            server_port=port,
            auth=[*users] if users else None,
            prevent_thread_lock=True,
            inline=False,
            quiet=True,
            share=False,
            footer_links=[],
            # The browser would keep photos and answers.
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            ssr_mode=False,
            max_file_size=MOST_BYTES,
            # Of browsers whose last answer gradio remembers; nothing here asks for it.
            state_session_capacity=SESSIONS,
            # Names alone: those of fonts of others' would be fetched.
            theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        )
    except OSError as error:
        raise IdentificationError(
            f"{host} port {port} cannot be had: another program has it, or {host} is no address of this "
            "machine. Name others with --host and --port."
        ) from error
    try:
        yield url.rstrip("/")
    finally:
        blocks.close(verbose=False)


def _users(file: Path) -> list[tuple[str, str]]:
    users = []
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise IdentificationError(f"{file} is no text in UTF-8: save it as such.") from error
    for number, line in enumerate(lines, 1):
        user, _, password = line.partition(":")
        if line and not (user and password):
            raise IdentificationError(f"{file}, line {number}: write user:password, neither of them empty.")
        users += [(user, password)] if line else []
    if not users:
        raise IdentificationError(f"{file} names nobody: write user:password, one in each line.")
    return users


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
