"""A detector's weights: which file, known by its digest before anything of it is loaded.

Weights in PyTorch's format are pickles, and a pickle can run any code of its maker's choosing. So the file is
named by the user, never fetched, never taken from inside the photos' folder unasked, and loaded only with a
list of the classes that it may name (quiet.py).
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from snake_assets.detection.errors import DetectionError
from snake_assets.storage.fingerprints import file_digest


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
        path: the file, absolute.
        sha256: SHA-256 of its bytes, as hex.
    """

    path: Path
    sha256: str

    @contextmanager
    def same_bytes(self) -> Iterator[Path]:
        """A private copy of the file that surely has this digest, for as long as the block runs.

        What is loaded is thereby what was checked, even where others can write the file.

        Raises:
            DetectionError: the file has changed since it was opened, or is gone.
        """
        with tempfile.TemporaryDirectory(prefix="snake-weights-") as folder:
            copy = Path(folder) / "weights.pt"
            try:
                shutil.copyfile(self.path, copy)
            except OSError as error:
                raise DetectionError(
                    f"{self.path} cannot be read any more ({error.strerror}): run again."
                ) from error
            if file_digest(copy) != self.sha256:
                raise DetectionError(f"{self.path} has changed since its SHA-256 was taken: run again.")
            yield copy


def open_weights(path: str, pinned_sha256: str | None = None, data_root: Path | None = None) -> Weights:
    """Find a detector's weights and take their digest; loads nothing, fetches nothing.

    Args:
        path: a `.pt` file, or a folder with exactly one.
        pinned_sha256: the digest that the file must have, as hex; None for no pin.
        data_root: root of the raw data, inside of which weights are refused; None where the user has
            explicitly allowed them there.

    Raises:
        DetectionError: no such file, not one `.pt` in the folder, inside the data, or not the pinned one.
    """
    file = _weights_file(Path(path).expanduser().absolute(), path)
    if data_root is not None and file.resolve().is_relative_to(data_root.resolve()):
        raise DetectionError(
            f"{file} lies inside the data ({data_root}). Weights are pickles, which can run code, and who "
            "can add photos could add such a file: move it elsewhere, or allow it explicitly "
            "(SNAKE_DETECTOR_IN_DATA=1) if you trust it."
        )
    digest = _digest(file)
    check_pin(file, digest, pinned_sha256)
    return Weights(file, digest)


def check_pin(model: Path, digest: str, pinned_sha256: str | None) -> None:
    """Let a model pass that has the pinned digest, or for which none is pinned; called before it is loaded.

    Args:
        model: its file or folder.
        digest: its SHA-256, as hex in lower case.
        pinned_sha256: the digest that it must have, as hex; None or blank for no pin.

    Raises:
        DetectionError: it has another, or the pin is no SHA-256.
    """
    pin = (pinned_sha256 or "").strip().lower()
    if pin and not re.fullmatch("[0-9a-f]{64}", pin):
        raise DetectionError(
            f"{pinned_sha256!r} is no SHA-256: pin 64 hex digits; those of {model} are {digest}."
        )
    if pin and digest != pin:
        raise DetectionError(
            f"{model} has the SHA-256 {digest}, not the pinned {pin}: nothing of it was loaded. Set the "
            "weights that were pinned, or pin these if you trust them."
        )


def _weights_file(path: Path, named: str) -> Path:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix == ".pt" and file.is_file())
        if len(found) != 1:
            names = ", ".join(file.name for file in found[:5]) or "none"
            raise DetectionError(
                f"{path} must hold exactly one .pt file; it holds {names}. Name the file itself."
            )
        return found[0]
    if not path.is_file():
        raise DetectionError(
            f"There are no weights at {path} (named as {named!r}). They are never downloaded: name a .pt "
            "file that is there, or a folder with one."
        )
    if path.suffix != ".pt":
        raise DetectionError(f"{path} is no .pt file: name weights in ultralytics' own format.")
    return path


def _digest(file: Path) -> str:
    try:
        return file_digest(file)
    except OSError as error:
        raise DetectionError(f"{file} cannot be read ({error.strerror}): mend its rights.") from error


# ultralytics, made to keep to itself: no network, no telemetry, no installing, nothing in the user's home.
#
# It decides these things once, while it is imported, from the environment; so this room's code imports it
# only after `quiet_ultralytics()`.


# Of ultralytics 8.4: ONLINE, AUTOINSTALL, SAFE_LOAD and VERBOSE of ultralytics/utils/__init__.py.
QUIET = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",
    "YOLO_VERBOSE": "false",
}
# Each would report a training to a service, or write a folder of its own, were its package there.
INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
MESSAGES = ("vscode_msg", "openvino_msg")


@cache
def quiet_ultralytics() -> str:
    """Import ultralytics with all that reaches outside switched off; its version, such as "8.4.190".

    Raises:
        DetectionError: other code of this process has imported it before, with these things on.
    """
    import numpy as np
    import PIL.Image
    import torch

    before = PIL.Image.open, torch.save, np.get_printoptions()
    # Sets the thread count of processes started later, and of torch where it comes first.
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads())}
    os.environ.update(QUIET)
    # Given for a training's whole life, a key of the hosted platform would stream it there.
    os.environ.pop("ULTRALYTICS_API_KEY", None)
    with (
        tempfile.TemporaryDirectory(prefix="snake-ultralytics-") as folder,
        _environment({"YOLO_CONFIG_DIR": folder, **threads}),
    ):
        import ultralytics
        from ultralytics.utils import AUTOINSTALL, ONLINE, SAFE_LOAD, SETTINGS, downloads

        if ONLINE or AUTOINSTALL or not SAFE_LOAD:
            raise DetectionError(
                "ultralytics was imported before with downloads and installs allowed: start a new process "
                f"and set {' '.join(f'{name}={value}' for name, value in QUIET.items())} before that import."
            )
        SETTINGS.update(
            {**dict.fromkeys(INTEGRATIONS + MESSAGES, False), "api_key": "", "openai_api_key": ""}
        )
    # It changes these for the whole process: with its own `open`, a photo that Pillow does not know
    # would be an ImportError of a package for HEIF, and not a reject.
    PIL.Image.open, torch.save = before[:2]
    np.set_printoptions(**before[2])
    # For what the offline switch does not cover: fonts, data sets, and weights that are not there.
    downloads.is_url = _is_url_offline
    downloads.safe_download = _refuse_download
    return str(ultralytics.__version__)


def load_detector(weights: Weights) -> Any:
    """The model of a file of weights: an ultralytics DetectionModel, float32, on the CPU, in eval mode.

    Loaded by `torch.load(weights_only=True)` with ultralytics' list of its own classes: a pickle that names
    anything else is refused before any of it runs.

    Raises:
        DetectionError: no weights, weights of something else than boxes, or a pickle that names other code.
    """
    quiet_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, load_checkpoint

    with weights.same_bytes() as copy:
        try:
            model, _ = load_checkpoint(str(copy))
        except Exception as error:
            raise DetectionError(
                f"{weights.path} (SHA-256 {weights.sha256}) is refused: it is no detector of ultralytics, is "
                f"damaged, or names code of its own. ({' '.join(str(error).split())[:300]})"
            ) from error
    if not isinstance(model, DetectionModel) or model.task != "detect":
        raise DetectionError(
            f"{weights.path} holds a model for {getattr(model, 'task', 'something else')!r}: name weights "
            "of a YOLO model that finds boxes (task detect)."
        )
    model.pt_path = str(weights.path)
    return model


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_url_offline(url: object, check: bool = False) -> bool:
    return not check and "://" in str(url)


def _refuse_download(url: object, *_: object, **__: object) -> None:
    raise DetectionError(
        f"ultralytics wanted to download {url}: nothing is ever downloaded; put the file there."
    )
