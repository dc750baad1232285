"""A SnakeCLEF 2024 entry: from the photos of the test set to submission.csv, without network.

Needs Python 3.10, torch, transformers 4.37 or later, numpy, pillow and safetensors. Beside it lie the
backbone (config.json and weights, as Hugging Face keeps models), classifier.safetensors, entry.json (what was
chosen in training) and the metadata of the test set. Photos are decoded in threads: the runner forbids
processes.

A photo that is absent or cannot be read never ends it: its observation is answered by its other photos, or
else by the species of least expected cost. When its own rate says that the limit would be passed, it goes on
with the first photo of each observation only, and in the end without photos; it says so.
"""

from __future__ import annotations

import csv
import json
import os
import time
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]
About = Mapping[str, Any]

BEGAN = time.monotonic()
# The competition's limit, and what of it is kept for the classifier and for writing the answers, in seconds.
LIMIT_S, SPARE_S = 60 * 60.0, 5 * 60.0
# Below this many photos their rate says nothing yet: the first batches wait for a GPU to warm up.
MEASURED_PHOTOS = 500

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SNAKE_ENTRY_DATA", "/tmp/data"))
ARCHIVE, UNPACKED = DATA / "private_testset.zip", DATA / "private_testset"
METADATA = ("SnakeCLEF2024-TestMetadata.csv", "SnakeCLEF2024_TestMetadata.csv")

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 120_000_000
BATCH, BATCHES_AHEAD, DECODERS = 16, 4, min(4, os.cpu_count() or 4)
PHOTOS_AT_ONCE = 512
# Without a floor one photo's zero would rule a species out whatever the other photos say.
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Photo:
    """A photo that is there, the place of its observation in the metadata, and whether it is its first."""

    path: Path
    observation: int
    first: bool


def main() -> None:
    """Answer every observation of the metadata."""
    import torch

    about = json.loads((HERE / "entry.json").read_text(encoding="utf-8"))
    wanted = read_metadata()
    photos = present_photos(wanted)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    features, observations = look_at(photos, about, device)
    class_ids = answers(features, observations, len(wanted), about, device)
    submission = Path("submission.csv")
    with submission.open("w", encoding="utf-8", newline="") as file:
        rows = [("observation_id", "class_id"), *zip(wanted, class_ids, strict=True)]
        csv.writer(file, lineterminator="\n").writerows(rows)
    say(f"{len(class_ids)} rows in {submission.resolve()}, {len(set(observations))} answered by their photos")


def elapsed() -> float:
    """Seconds since the start."""
    return time.monotonic() - BEGAN


def say(line: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{elapsed():7.1f} s  {line}", flush=True)


# The files of the test set.


def read_metadata() -> dict[str, list[str]]:
    """observation_id -> file names of its photos, both in the order of the metadata."""
    places = [folder / name for folder in (DATA, UNPACKED, HERE) for name in METADATA]
    unpack()
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise SystemExit(f"No {' or '.join(METADATA)} in {DATA}, {UNPACKED} or {HERE}.")
    wanted: dict[str, list[str]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        for row in reader:
            wanted.setdefault(row["observation_id"], []).append(row["filename"] or "")
    say(f"{path}: {sum(map(len, wanted.values()))} photos of {len(wanted)} observations")
    return wanted


def unpack() -> None:
    """Unpack the archive of photos, unless that was done; what of it is damaged is left out."""
    if UNPACKED.is_dir() or not ARCHIVE.is_file():
        return
    try:
        with zipfile.ZipFile(ARCHIVE) as archive:
            for member in archive.infolist():
                try:
                    archive.extract(member, DATA)
                except Exception as error:  # damage shows as errors of zipfile, zlib and the file system
                    say(f"{member.filename!r} of {ARCHIVE} cannot be unpacked: {error!r}")
    except (OSError, zipfile.BadZipFile) as error:
        say(f"{ARCHIVE} cannot be unpacked: {error!r}")
    say(f"{ARCHIVE} is unpacked")


def present_photos(wanted: Mapping[str, Sequence[str]]) -> list[Photo]:
    """The photos that are there, in whatever subfolder, in the order of the metadata."""
    by_name: dict[str, list[Path]] = {}
    for path in DATA.rglob("*"):
        by_name.setdefault(path.name.casefold(), []).append(path)
    found: list[Photo] = []
    absent: list[str] = []
    for observation, files in enumerate(wanted.values()):
        first = True
        for file in files:
            alike = by_name.get(file.rpartition("/")[2].casefold(), [])
            # Of several with one name, that of the metadata's own folder and spelling.
            alike.sort(key=lambda path: not path.as_posix().endswith(f"/{file}"))
            if alike:
                found.append(Photo(alike[0], observation, first))
                first = False
            else:
                absent.append(file)
    if absent:
        say(f"{len(absent)} photos are absent, such as {absent[0]!r}")
    return found


# From a file to pixels, as the platform does it in training.


def read(path: Path, how: About) -> Pixels | None:
    """A photo at the size that the backbone sees; None, and a line, where it cannot be read."""
    try:
        return read_photo(path, how)
    except Exception as error:  # PIL's parsers raise nearly anything on damaged bytes
        say(f"{path.name} cannot be read: {error!r}")
        return None


def read_photo(path: Path, how: About) -> Pixels:
    """Decode and resize a photo: uint8 [h, w, 3]. Raises nearly anything for what is no photo."""
    with Image.open(path, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels are too many")
        if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L") and how["resize"]:
            # libjpeg halves for nothing, but rounds sizes up: only where no rest is left.
            needed = 2 * np.max(how["resize"])
            for scale in (8, 4, 2):
                if width % scale == height % scale == 0 and min(width, height) // scale >= needed:
                    image.draft("RGB", (width // scale, height // scale))
                    break
        image.load()
        return resized(np.asarray(upright(in_rgb(image), image)), how)


def in_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: the high byte of 16 bits, what is transparent over white."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Undo the EXIF orientation of the image that the pixels are from."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF is no reason to lose a photo
        return pixels
    turns = (None, None, 0, 3, 1, 5, 4, 6, 2)  # Exif 2.32, tag 0x0112, as PIL.Image.Transpose
    turn = turns[orientation] if orientation in range(9) else None
    return pixels if turn is None else pixels.transpose(Image.Transpose(turn))


def resized(rgb: Pixels, how: About) -> Pixels:
    """Resize and crop, or fit into bands, as entry.json says: uint8 [H, W, 3] to [h, w, 3]."""
    size, crop = how["resize"], how["crop"]
    if how["pad"]:
        scale = min(size[0] / rgb.shape[0], size[1] / rgb.shape[1])
        height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
        canvas = np.empty((*size, 3), np.uint8)
        canvas[:] = [min(255, round(mean / how["rescale_factor"])) for mean in how["mean"]]
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        canvas[top : top + height, left : left + width] = resampled(rgb, height, width, how["resample"])
        return canvas
    if isinstance(size, int):
        longest = 50 * min(rgb.shape[:2])
        top, left = (max(0, (side - longest) // 2) for side in rgb.shape[:2])
        rgb = rgb[top : top + longest, left : left + longest]
        height, width = rgb.shape[:2]
        longer = int(size * max(height, width) / min(height, width))
        size = (longer, size) if width <= height else (size, longer)
    if size is not None:
        height, width = size
        rgb = resampled(rgb, height, width, how["resample"])
    return rgb if crop is None else centre(rgb, *crop)


def resampled(rgb: Pixels, height: int, width: int, by: int) -> Pixels:
    """Resize by PIL's filter of that number; linear and cubic ones are torch's, several times as fast."""
    import torch

    mode = {2: "bilinear", 3: "bicubic"}.get(by)
    if mode is None:
        return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling(by)))
    photo = torch.from_numpy(np.require(rgb, requirements=("C", "W")))[None].permute(0, 3, 1, 2)
    smaller = torch.nn.functional.interpolate(photo, (height, width), mode=mode, antialias=True)
    return np.ascontiguousarray(smaller[0].permute(1, 2, 0).numpy())


def centre(rgb: Pixels, height: int, width: int) -> Pixels:
    """The centre of a photo, black where it is smaller."""
    top, left = int((rgb.shape[0] - height) / 2), int((rgb.shape[1] - width) / 2)
    kept = rgb[max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
    padded = np.zeros((height, width, 3), np.uint8)
    top, left = max(-top, 0), max(-left, 0)
    padded[top : top + kept.shape[0], left : left + kept.shape[1]] = kept
    return padded


# From pixels to features.


def look_at(photos: Sequence[Photo], about: About, device: str) -> tuple[torch.Tensor, list[int]]:
    """Features of the photos that can be read in time, float32 [N, D], and their observations, N."""
    import torch

    model = load_backbone(about, device)
    say(f"The backbone is loaded, on {device} in {model.dtype}")
    began, seen, unreadable, first_only = elapsed(), 0, 0, False
    features = [torch.zeros(0, len(about["blocks"]) * about["hidden_size"])]
    observations: list[int] = []
    queue = deque(photos)
    with ThreadPoolExecutor(DECODERS) as pool:
        for batch in read_ahead(queue, pool, about["preprocessing"]):
            readable = [(photo, rgb) for photo, reading in batch if (rgb := reading.result()) is not None]
            seen, unreadable = seen + len(batch), unreadable + len(batch) - len(readable)
            if readable:
                features.append(features_of(np.stack([rgb for _, rgb in readable]), model, about))
                observations += [photo.observation for photo, _ in readable]
            now = elapsed()
            left_s, rate = LIMIT_S - SPARE_S - now, seen / max(now - began, 1e-9)
            if left_s <= 0:
                say(f"The limit is near: {len(queue)} photos are not looked at")
                queue.clear()
            elif not first_only and seen >= MEASURED_PHOTOS and len(queue) > rate * left_s:
                say(f"At {rate:.1f} photos a second the limit would be passed: from now on first photos only")
                first_only, kept = True, [photo for photo in queue if photo.first]
                queue.clear()
                queue.extend(kept)
    took = max(elapsed() - began, 1e-9)
    say(f"{seen} photos in {took:.2f} s, {seen / took:.2f} photos a second, {unreadable} unreadable")
    return torch.cat(features), observations


def read_ahead(
    queue: deque[Photo], pool: ThreadPoolExecutor, how: About
) -> Iterator[list[tuple[Photo, Future[Pixels | None]]]]:
    """Batches of photos, a few of them decoded ahead, until the queue is empty."""
    waiting: deque[list[tuple[Photo, Future[Pixels | None]]]] = deque()
    while queue or waiting:
        while queue and len(waiting) <= BATCHES_AHEAD:
            batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            waiting.append([(photo, pool.submit(read, photo.path, how)) for photo in batch])
        yield waiting.popleft()


def load_backbone(about: About, device: str) -> Any:
    """The vision transformer beside this file, whole, on the device."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    import torch
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        HERE, local_files_only=True, use_safetensors=True, output_loading_info=True, **about["loading"]
    )
    unused = ("mask_token", "pooler.")
    if missing := [name for name in report["missing_keys"] if not any(part in name for part in unused)]:
        raise SystemExit(f"This version of transformers does not find the backbone's {missing[:3]}.")
    # A T4 only emulates bf16.
    has_bf16 = device == "cpu" or torch.cuda.get_device_capability() >= (8, 0)
    known = {"bf16": torch.bfloat16 if has_bf16 else torch.float32, "fp16": torch.float16}
    return model.to(device, known.get(about["precision"], torch.float32)).eval()


def features_of(photos: Pixels, model: Any, about: About) -> torch.Tensor:
    """All blocks of some photos side by side: uint8 [B, h, w, 3] to float32 [B, D]."""
    import torch

    how, layers, prefix = about["preprocessing"], about["layers"], about["prefix_tokens"]
    pixels = torch.from_numpy(photos).to(model.device).permute(0, 3, 1, 2).to(torch.float32)
    mean, std = (torch.tensor(how[name], device=model.device).view(1, 3, 1, 1) for name in ("mean", "std"))
    pixels = ((pixels * how["rescale_factor"] - mean) / std).contiguous().to(model.dtype)
    with torch.no_grad():
        seen = model(pixel_values=pixels, output_hidden_states=True)
        norm = model.layernorm if hasattr(model, "layernorm") else model.norm
        blocks = {
            "cls": seen.last_hidden_state[:, 0].float(),
            "patch_mean": seen.last_hidden_state[:, prefix:].float().mean(dim=1),
            "earlier_cls": norm(seen.hidden_states[layers["earlier"]][:, 0]).float(),
            "middle_mean": seen.hidden_states[layers["middle"]][:, prefix:].float().mean(dim=1),
        }
    return torch.cat([blocks[name] for name in about["blocks"]], dim=1).cpu()


# From features to answers.


def answers(
    features: torch.Tensor, observations: Sequence[int], count: int, about: About, device: str
) -> list[int]:
    """class_id of each of `count` observations; the safest one where no photo was read."""
    import torch

    of = {name: torch.from_numpy(one) for name, one in load_file(HERE / "classifier.safetensors").items()}
    on_device = {name: one.to(device) for name, one in of.items()}
    starts = range(0, max(1, len(features)), PHOTOS_AT_ONCE)
    pieces = [features[start : start + PHOTOS_AT_ONCE].to(device) for start in starts]
    found = torch.cat([probabilities(piece, on_device, about) for piece in pieces])
    logs = found.cpu().double().clamp(min=LEAST_PROBABILITY).log()
    rows_of: dict[int, list[int]] = {}
    for row, observation in enumerate(observations):
        rows_of.setdefault(observation, []).append(row)
    decided = [about["safest"]] * count
    for observation, rows in rows_of.items():
        pooled = torch.softmax(logs[rows].mean(dim=0), dim=0)
        # Costs of each answer under each truth, where the rule is another than the likeliest species.
        column = (pooled @ of["costs"]).argmin() if "costs" in of else pooled.argmax()
        decided[observation] = int(of["class_ids"][column])
    return decided


def probabilities(features: torch.Tensor, of: Mapping[str, torch.Tensor], about: About) -> torch.Tensor:
    """Of each species for each photo, float32 [N, D] to [N, C]: a linear head and the votes of neighbours."""
    import torch

    logits = ((features - of["mean"]) / of["scale"]) @ of["weight"] + of["bias"]
    heads = torch.softmax(logits.double(), dim=1).float()
    start = about["blocks"].index("cls") * about["hidden_size"]
    near = features[:, start : start + about["hidden_size"]] - of["neighbours.mean"]
    near = torch.nn.functional.normalize(near @ of["neighbours.axes"], dim=1)
    references = of["neighbours.vectors"]
    cosine = near @ references.float().T
    cosine, rows = torch.topk(cosine, min(about["neighbours"]["k"], len(references)), dim=1)
    shares = torch.softmax(cosine.double() / about["neighbours"]["temperature"], dim=1).float()
    votes = torch.zeros_like(heads).scatter_add_(1, of["neighbours.labels"].long()[rows], shares)
    blended = (1 - about["share"]) * heads + about["share"] * votes
    logs = blended.double().clamp(min=LEAST_PROBABILITY).log()
    return torch.softmax(logs / about["temperature"], dim=1).float()


if __name__ == "__main__":
    main()
