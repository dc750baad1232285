"""The finder that the settings name."""

from pathlib import Path

from snake_assets.detection.errors import DetectionError
from snake_assets.detection.finder import Finder
from snake_assets.detection.tuning import FinderTuning
from snake_assets.detection.weights import open_weights
from snake_assets.detection.yolo import YoloFinder
from snake_assets.vision.backbone import resolve_device
from snake_assets.vision.errors import BackboneError

_WANTED = {
    "yolo": "a .pt file of a YOLO detector, or a folder with one",
}


def open_finder(
    mode: str,
    named: str | None,
    *,
    pinned_sha256: str | None = None,
    prompter: str | None = None,
    prompter_sha256: str | None = None,
    device: str = "cpu",
    tuning: FinderTuning | None = None,
    data_root: Path | None = None,
    revision: str | None = None,
) -> Finder:
    """Find a finder's files and take their digest; its model loads at first use.

    Args:
        mode: "yolo".
        named: the finder's model (SNAKE_DETECTOR).
        pinned_sha256: the digest that it must have (of a file its SHA-256, of a folder
            `ModelKind.digest`), as hex; None for no pin.
        prompter: of "sam" only.
        prompter_sha256: the digest that the prompter must have; None for no pin.
        device: "auto", "cpu", "cuda" or "mps"; see `resolve_device`.
        tuning: which finds count; None: as `FinderTuning` has it.
        data_root: root of the raw data, inside of which weights that are pickles are refused; None where the
            user has explicitly allowed them there.
        revision: on the hub, of a model that is named by its hub id.

    Raises:
        DetectionError: nothing is named, the mode or device is none, or the model cannot be used.
    """
    tuning = tuning or FinderTuning()
    if mode not in _WANTED:
        raise DetectionError(f"SNAKE_CROPS is {mode!r}; choose none, {', '.join(_WANTED)}.")
    if not named:
        raise DetectionError(
            f"SNAKE_CROPS is {mode}, but no model is named: set SNAKE_DETECTOR to {_WANTED[mode]}."
        )
    try:
        device = resolve_device(device)
    except BackboneError as error:
        raise DetectionError(str(error)) from error
    return _open_yolo(named, pinned_sha256, device, tuning, data_root)


def _open_yolo(
    named: str, pinned_sha256: str | None, device: str, tuning: FinderTuning, data_root: Path | None
) -> Finder:
    weights = open_weights(named, pinned_sha256, data_root)
    return YoloFinder(
        weights,
        device,
        confidence=0.25 if tuning.confidence is None else tuning.confidence,
        iou=tuning.iou,
        image_size=tuning.image_size or 640,
        most=tuning.most,
    )
