"""What a run of `snakeclef` came to, for a terminal:  snake-assets summary"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from snake_assets.defs.resources.storage import Store
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import open_table

SCORES = {"track1": "Track 1", "track2": "Track 2 (less is better)", "f1": "macro F1", "accuracy": "accuracy"}
PICTURES = ("species_histogram", "embedding_map", "validation_report")


def summary(store: Store) -> str:
    """Photos read and rejected per split, scores beside chance, and where everything lies.

    What was left out, because the raw data has no val or no test, is not told of.

    Raises:
        StorageError: something has not been materialized yet.
    """
    lines = ["", "photos          read  rejected"]
    splits = ["train", *(s for s in SPLITS[1:] if read_manifest(store.folder("dinov2_embeddings", s)))]
    for split in splits:
        # A photo is rejected at ingest, or later when it fails to decode.
        embedded = open_table(store.folder("dinov2_embeddings", split)).manifest
        rejects = [*open_table(store.folder("image_table", split)).manifest.rejects, *embedded.rejects]
        reasons = Counter(reject.reason for reject in rejects)
        shown = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        lines.append(f"  {split:<10}{embedded.rows_out:>8,}{len(rejects):>10,}  {shown}".rstrip())

    if "val" in splits:
        report = open_bundle(store.folder("validation_report"))
        scores = json.loads(report.path("scores.json").read_text())
        lines += ["", f"{'scores on val':<28}{'':>8}  chance"]
        for key, name in SCORES.items():
            if scores[key] is not None:
                lines.append(f"  {name:<26}{scores[key]:>8}{scores['chance'][key]:>8}")
        if gap := scores.get("venom_not_known"):
            lines += ["", gap]
    if "test" in splits:
        answers = open_bundle(store.folder("submission"))
        lines += ["", f"submission  {_shown(answers.shown('submission.csv'))}"]
    for asset in PICTURES if "val" in splits else PICTURES[:2]:
        bundle = open_bundle(store.folder(asset))
        lines += [
            f"picture     {_shown(bundle.shown(name))}" for name in bundle.files if name.endswith(".png")
        ]
    return "\n".join([*lines, "", "Open the UI with: make dev", ""])


def _shown(place: AnyPath) -> AnyPath:
    """The path as a person would type it: relative where it lies below the working folder."""
    below = isinstance(place, Path) and place.is_relative_to(Path.cwd())
    return place.relative_to(Path.cwd()) if isinstance(place, Path) and below else place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_: argparse.Namespace) -> int:
    """Print the summary; returns the exit status. Raises StorageError where something is not there yet."""
    sys.stdout.write(summary(Store()))
    return 0
