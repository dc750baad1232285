"""ultralytics, made to keep to itself: no network, no telemetry, no installing, nothing in the user's home.

It decides these things once, while it is imported, from the environment; so this room's code imports it only
after `quiet_ultralytics()`.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from snake_assets.detection.errors import DetectionError
from snake_assets.detection.weights import Weights

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
