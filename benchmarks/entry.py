"""The entry's script.py against the platform's own pass over the same photos, and the size of an entry.

- script_over_platform: photos per second of script.py over those of the embedding pass, neither with the time
  to load the model; in turn, several rounds, same cores.
- official_mb: of an entry with random DINOv2-base weights and a classifier of the official size.

The jobs snakeclef and entry have to be run in --store; SNAKE_BACKBONE is the backbone.
"""

import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import Ratio, finish, in_turn, middle, options, significant
from snake_assets.identification.entry.build import METADATA, SCRIPT, write_entry
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.linear_head import LinearHead
from snake_assets.learning.neighbours import Neighbours
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
from snake_assets.vision.preprocessing.transforms import View

OFFICIAL_PHOTOS, OFFICIAL_SPECIES = 182_261, 1_784


def write_photos(images: Table, data: Path) -> None:
    """The runner's data folder, with all photos of a table."""
    photos = data / "private_testset"
    photos.mkdir(parents=True)
    rows = [("observation_id", "filename")]
    for shard in images.manifest.shards:
        for row in images.read_shard(shard, ["image_id", "observation_id", "image"]).to_pylist():
            name = row["image_id"].replace("/", "_")
            (photos / name).write_bytes(row["image"])
            rows.append((row["observation_id"], name))
    with (data / METADATA).open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def script_rate(entry: Path, data: Path) -> float:
    """Photos a second of script.py, by its own word."""
    with tempfile.TemporaryDirectory() as work:
        told = subprocess.run(
            [sys.executable, entry / SCRIPT.name],
            cwd=work,
            env={**os.environ, "SNAKE_ENTRY_DATA": str(data)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    return float(re.findall(r"([\d.]+) photos a second", told)[-1])


def platform_rate(images: Table, backbone: Backbone) -> float:
    """Photos a second of the embedding pass."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: Path(scratch) / name for name in ("dinov2_embeddings", "dct_embeddings")}
        return embed(images, folders, backbone, EmbeddingSettings(compiled="never")).images_per_second


def official_mb(classifier: SpeciesClassifier, entry: Path) -> dict[str, float]:
    """MB of the large files of an entry with DINOv2-base in 32 bits, of all official photos and species."""
    import torch
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    with tempfile.TemporaryDirectory() as scratch:
        folder, made = Path(scratch) / "backbone", Path(scratch) / "entry"
        Dinov2Model(Dinov2Config(hidden_size=768, patch_size=14, image_size=518)).save_pretrained(folder)
        BitImageProcessor().save_pretrained(folder)
        backbone = open_backbone(str(folder), device="cpu", precision="fp32")
        width, species = backbone.hidden_size, OFFICIAL_SPECIES
        draw = torch.Generator().manual_seed(0)
        vectors = torch.randn(OFFICIAL_PHOTOS, width, generator=draw).half().numpy()
        ones, columns = np.ones(4 * width, np.float32), np.arange(OFFICIAL_PHOTOS) % species
        large = replace(
            classifier,
            class_ids=np.arange(species, dtype=np.int32),
            features=dict.fromkeys(("cls", "patch_mean", "earlier_cls", "middle_mean"), width),
            head=LinearHead(
                ones, ones, np.outer(ones, ones[:1]).repeat(species, 1), ones[:1].repeat(species)
            ),
            neighbours=Neighbours(
                ones[:width], np.eye(width, dtype=np.float32), vectors, columns.astype(np.int32), species
            ),
            prior=np.full(species, 1 / species),
            venomous=np.arange(species) % 6 == 0,
        )
        made.mkdir()
        write_entry(large, backbone, entry / METADATA, made)
        bytes_of = {path.name: path.stat().st_size for path in made.iterdir()}
    return {name: significant(size / 1e6) for name, size in sorted(bytes_of.items()) if size > 1e6}


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure, and print one JSON object."""
    parser = options(__doc__, rounds=5)
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("SNAKE_STORE", ".snake/store")))
    parser.add_argument("--split", default="train", help="whose photos are looked at")
    asked = parser.parse_args(arguments)
    images, entry = open_table(asked.store / "image_table" / asked.split), asked.store / "competition_entry"
    recipe = open_table(asked.store / "dinov2_embeddings" / "train").manifest.recipe
    assert isinstance(recipe["resolution"], list)
    backbone = replace(
        open_backbone(os.environ["SNAKE_BACKBONE"], view=View(int(str(recipe["resolution"][0])))),
        precision=str(recipe["precision"]),
    )
    _ = backbone.model
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        write_photos(images, data)
        arms = {
            "script": lambda: script_rate(entry, data),
            "platform": lambda: platform_rate(images, backbone),
        }
        rates = in_turn(arms, asked.rounds, "photos/s")
    sizes = official_mb(SpeciesClassifier.load(open_bundle(asked.store / "final_classifier").inside), entry)
    return finish(
        {
            "photos": images.manifest.rows_out,
            **{f"{name}_img_s": middle(values) for name, values in rates.items()},
            **Ratio.of(rates["script"], rates["platform"]).named("script_over_platform"),
            "official_mb": significant(sum(sizes.values())),
            "official_mb_of": sizes,
        }
    )


if __name__ == "__main__":
    main()
