"""A YOLO detector's weights: which file, known by its digest before anything of it is loaded.

Weights in PyTorch's format are pickles, and a pickle can run any code of its maker's choosing. So the file is
named by the user, never fetched, never taken from inside the photos' folder unasked, and loaded only with
ultralytics' list of the classes that it may name. ultralytics itself is made to keep to itself: no network,
no telemetry, no installing, nothing in the user's home. It decides these things once, while it is imported,
from the environment; so it is imported only after `quiet_ultralytics()`.
"""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from snake_assets.detection.finders.base import DetectionError
from snake_assets.storage.fingerprints import file_digest

# Of ultralytics 8.4: ONLINE, AUTOINSTALL, SAFE_LOAD and VERBOSE of ultralytics/utils/__init__.py.
QUIET = {
    **dict.fromkeys(("YOLO_OFFLINE", "ULTRALYTICS_SAFE_LOAD"), "true"),
    **dict.fromkeys(("YOLO_AUTOINSTALL", "YOLO_VERBOSE"), "false"),
}
# Each would report a training to a service, or write a folder of its own, were its package there.
INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
MESSAGES = ("vscode_msg", "openvino_msg")
HAS_BOXES = ("detect", "segment")


@dataclass(frozen=True)
class Weights:
    """A file of weights: its absolute path, and the SHA-256 of its bytes, as hex."""

    path: Path
    sha256: str


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
    file = Path(path).expanduser().absolute()
    if file.is_dir():
        found = sorted(one for one in file.iterdir() if one.suffix == ".pt" and one.is_file())
        if len(found) != 1:
            names = ", ".join(one.name for one in found[:5]) or "none"
            raise DetectionError(
                f"{file} must hold exactly one .pt file; it holds {names}. Name the file itself."
            )
        (file,) = found
    if not file.is_file() or file.suffix != ".pt":
        raise DetectionError(
            f"There are no .pt weights at {file} (named as {path!r}). They are never downloaded: name a file "
            "in ultralytics' own format that is there, or a folder with one."
        )
    if data_root is not None and file.resolve().is_relative_to(data_root.resolve()):
        raise DetectionError(
            f"{file} lies inside the data ({data_root}). Weights are pickles, which can run code, and who "
            "can add photos could add such a file: move it elsewhere; for yolo_crops you may also allow it "
            "(detector_in_data of the resource crops) if you trust it."
        )
    try:
        digest = file_digest(file)
    except OSError as error:
        raise DetectionError(f"{file} cannot be read ({error.strerror}): mend its rights.") from error
    check_pin(file, digest, pinned_sha256)
    return Weights(file, digest)


def check_pin(model: Path, digest: str, pinned_sha256: str | None) -> None:
    """Let a model (a file or folder) pass that has the pinned digest, or for which none is pinned.

    Digests are SHA-256 as hex. Called before anything is loaded.

    Raises:
        DetectionError: it has another, or the pin is no SHA-256.
    """
    pin = (pinned_sha256 or "").strip().lower()
    if pin and not re.fullmatch("[0-9a-f]{64}", pin):
        raise DetectionError(
            f"{pinned_sha256!r} is no SHA-256; that of {model} is {digest}: pin 64 hex digits."
        )
    if pin and digest != pin:
        raise DetectionError(
            f"{model} has the SHA-256 {digest}, not the pinned {pin}: nothing of it was loaded. Set the "
            "weights that were pinned, or pin these if you trust them."
        )


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
    with tempfile.TemporaryDirectory(prefix="snake-ultralytics-") as folder:
        # It sets the thread count of processes started later, and of torch where it comes first.
        passing = {
            "YOLO_CONFIG_DIR": folder,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads()),
        }
        restored = {name: os.environ.get(name) for name in passing}
        os.environ.update({**QUIET, **passing})
        # Given for a training's whole life, a key of the hosted platform would stream it there.
        os.environ.pop("ULTRALYTICS_API_KEY", None)
        try:
            import ultralytics
            from ultralytics.utils import AUTOINSTALL, ONLINE, SAFE_LOAD, SETTINGS, downloads

            if ONLINE or AUTOINSTALL or not SAFE_LOAD:
                raise DetectionError(
                    "ultralytics was imported before with downloads and installs allowed: start a new "
                    f"process, with {' '.join(f'{name}={value}' for name, value in QUIET.items())}."
                )
            SETTINGS.update(
                {**dict.fromkeys(INTEGRATIONS + MESSAGES, False), "api_key": "", "openai_api_key": ""}
            )
        finally:
            for name, value in restored.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
    # It changes these for the whole process: with its own `open`, a photo that Pillow does not know
    # would be an ImportError of a package for HEIF, and not a reject.
    PIL.Image.open, torch.save = before[:2]
    np.set_printoptions(**before[2])
    # For what the offline switch does not cover: fonts, data sets, and weights that are not there.
    downloads.is_url = _is_url_offline
    downloads.safe_download = _refuse_download
    return str(ultralytics.__version__)


def load_yolo(weights: Weights) -> Any:
    """The `ultralytics.YOLO` of a file of weights, its model float32, on the CPU, in eval mode.

    Loaded by `torch.load(weights_only=True)` with ultralytics' list of its own classes: a pickle that names
    anything else is refused before any of it runs.

    Raises:
        DetectionError: no weights, weights of something else than boxes, or a pickle that names other code.
    """
    quiet_ultralytics()
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel

    # From a private copy of the very bytes that were checked, even where others can write the file.
    with tempfile.TemporaryDirectory(prefix="snake-weights-") as folder:
        private = Path(folder) / "weights.pt"
        try:
            shutil.copyfile(weights.path, private)
        except OSError as error:
            raise DetectionError(f"{weights.path} cannot be read any more ({error}): run again.") from error
        if file_digest(private) != weights.sha256:
            raise DetectionError(f"{weights.path} has changed since its SHA-256 was taken: run again.")
        try:
            yolo = YOLO(str(private))
        except Exception as error:
            raise DetectionError(
                f"{weights.path} (SHA-256 {weights.sha256}) is refused: it is no detector of ultralytics, is "
                f"damaged, or names code of its own. ({' '.join(str(error).split())[:300]})"
            ) from error
    if not isinstance(yolo.model, DetectionModel) or yolo.task not in HAS_BOXES:
        raise DetectionError(
            f"{weights.path} holds a model for {yolo.task!r}: name weights of a YOLO model that finds boxes "
            f"(task {' or '.join(HAS_BOXES)})."
        )
    return yolo


def _is_url_offline(url: object, check: bool = False) -> bool:
    return not check and "://" in str(url)


def _refuse_download(url: object, *_: object, **__: object) -> None:
    raise DetectionError(f"ultralytics wanted to download {url}: nothing is downloaded; put the file there.")
