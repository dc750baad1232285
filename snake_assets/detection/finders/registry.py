"""The finder that the settings name."""

from pathlib import Path

from snake_assets.detection.finders.base import DetectionError, Finder, FinderTuning
from snake_assets.detection.finders.hub_models import open_hub_model, owl, sam
from snake_assets.detection.finders.owlvit import OwlFinder
from snake_assets.detection.finders.sam import SamFinder
from snake_assets.detection.finders.yolo import YoloFinder, trained_size
from snake_assets.detection.finders.yolo_weights import open_weights
from snake_assets.vision.backbone.devices import resolve_device
from snake_assets.vision.errors import BackboneError

_WANTED = {
    "yolo": "a .pt file of a YOLO detector, or a folder with one",
    "owlvit": "a folder of OWL-ViT or OWLv2, or a hub id that is in the hub's cache here",
    "sam": "a folder of SAM, or a hub id that is in the hub's cache here",
    "prompter": "a .pt file of a YOLO detector, or a folder of OWL-ViT or OWLv2",
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
) -> Finder:
    """Find a finder's files and take their digest; its model loads at first use.

    But for YOLO without an image size: its weights tell the one that they were trained at.

    Args:
        mode: "yolo", "owlvit" or "sam" (SNAKE_CROPS).
        named: the finder's model (SNAKE_DETECTOR).
        pinned_sha256: the digest that it must have (of a file its SHA-256, of a folder
            `ModelKind.digest`), as hex; None for no pin.
        prompter: of "sam" only: what finds the boxes (SNAKE_PROMPTER), weights of YOLO or a model of OWL;
            "sam" needs it.
        prompter_sha256: the digest that the prompter must have; None for no pin.
        device: "auto", "cpu", "cuda" or "mps"; see `resolve_device`.
        tuning: which finds count; None: as `FinderTuning` has it.
        data_root: root of the raw data, inside of which weights that are pickles are refused; None where the
            user has explicitly allowed them there.

    Raises:
        DetectionError: nothing is named, the mode or device is none, or a model cannot be used.
    """
    tuning = tuning or FinderTuning()
    if mode not in ("yolo", "owlvit", "sam"):
        raise DetectionError(f"SNAKE_CROPS is {mode!r}; choose none, yolo, owlvit, sam.")
    if not named:
        raise DetectionError(
            f"SNAKE_CROPS is {mode}, but no model is named: set SNAKE_DETECTOR to {_WANTED[mode]}."
        )
    if mode == "sam" and not prompter:
        raise DetectionError(
            "SNAKE_CROPS is sam, which cuts out whatever it is pointed at and knows no snakes: set "
            f"SNAKE_PROMPTER to what finds the box, {_WANTED['prompter']}."
        )
    try:
        device = resolve_device(device)
    except BackboneError as error:
        raise DetectionError(str(error)) from error

    def boxes_by(variable: str, model: str, pin: str | None, yolo: bool) -> YoloFinder | OwlFinder:
        confidence, iou, most = tuning.confidence, tuning.iou, tuning.most
        if not yolo:
            files = open_hub_model(owl(variable), model, pin)
            return OwlFinder(files, tuning.queries, device, confidence or OwlFinder.confidence, iou, most)
        weights = open_weights(model, pin, data_root)
        size = tuning.image_size or trained_size(weights)
        least = confidence or YoloFinder.confidence
        return YoloFinder(weights, device, least, iou, size, most, tuning.classes)

    if mode != "sam" or not prompter:
        return boxes_by("SNAKE_DETECTOR", named, pinned_sha256, mode == "yolo")
    files = open_hub_model(sam("SNAKE_DETECTOR"), named, pinned_sha256)
    path = Path(prompter).expanduser()
    yolo = path.suffix == ".pt" or (path.is_dir() and not (path / "config.json").is_file())
    return SamFinder(files, boxes_by("SNAKE_PROMPTER", prompter, prompter_sha256, yolo), device)
