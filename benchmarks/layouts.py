"""Whether the layout of the raw data changes what comes out: the job `snakeclef` on the same photos in each.

The demo set, and `philippine-snakes` beside the checkout, are laid out as folders and as a table, with their
splits, and as a Darwin Core Archive of train and val, which can name no split, so that val is split off. Each
is run in a store of its own and held against the official layout of the same photos, with the same splits and
rows in the same order: the table against the set as it is, the others against one written anew.

`embeddings_equal`: row by row digest, class_id and every bit of the CLS token. `scores_equal`: all of
scores.json. `track1` and `f1` are those of the layout, `official_…` those of the set as it is: in folders,
whose rows are in another order, folds and bootstrap are drawn otherwise. `seconds` is of all. The demo set
has the demo's backbone, the real photos have ViT-Tiny.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.common import PHILIPPINE_SNAKES, SHARED_DATA, finish, significant
from snake_assets.definitions import build_definitions
from snake_assets.defs.resources.backbone import BackboneSetting, Device
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set
from snake_assets.snakeclef.metadata import SPLITS, VENOM_LIST
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.snakeclef.layouts.laid_out import (
    as_archive,
    as_folders,
    as_official,
    as_table,
    tell_venom,
)

VIT_TINY = SHARED_DATA / "weights" / "vit-tiny-imagenet"
COLUMNS = ["sha256", "class_id", "embedding"]
LAYOUTS: Mapping[str, Callable[[Path, Path], object]] = {
    "folders": as_folders,
    "table": as_table,
    "dwca": lambda official, into: as_archive(official, into, ("train", "val")),
}


def run(
    data: Path, store: Path, backbone: Path, config: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """The scores of the job `snakeclef` on raw data, where folders below those of species are observations.

    Raises:
        Exception: what the first step that failed raised.
    """
    resources = {
        "raw_data": RawData(root=str(data), observations_from_subfolders=True),
        "store": Store(root=str(store)),
        "backbone": BackboneSetting(name=str(backbone), device=Device.cpu),
    }
    job = build_definitions(resources=resources).resolve_job_def("snakeclef")
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(instance=instance, run_config=config)
    told: dict[str, Any] = json.loads((store / "validation_report" / "scores.json").read_text())
    return told


def compare(
    name: str,
    official: Path,
    official_store: Path,
    backbone: Path,
    work: Path,
    config: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Lay a set out, run it, and hold it against the official layout.

    Args:
        name: one of LAYOUTS.
        official: the set in the official layout.
        official_store: what the job made of it.
        backbone: of both.
        work: a new folder for all that is made.
        config: run config of both.
    """
    data, store = work / "data", work / "store"
    data.mkdir(parents=True)
    LAYOUTS[name](official, data)
    tell_venom(official, data)
    ours, theirs = run(data, store, backbone, config), official_store
    if name != "table":
        source = RawData(root=str(data), observations_from_subfolders=True).source(Store(root=str(store)))
        as_official(source.layout, official / "metadata" / VENOM_LIST, work / "official")
        theirs = work / "official-store"
        run(work / "official", theirs, backbone, config)
    tables = {
        split: [open_table(root / "dinov2_embeddings" / split) for root in (store, theirs)]
        for split in SPLITS
        if (store / "dinov2_embeddings" / split).is_dir()
    }
    own, meant = (
        json.loads((root / "validation_report" / "scores.json").read_text()) for root in (store, theirs)
    )
    as_it_is = json.loads((official_store / "validation_report" / "scores.json").read_text())
    differing = sorted(key for key in own.keys() | meant.keys() if own.get(key) != meant.get(key))
    return {
        "photos": {split: pair[0].manifest.rows_out for split, pair in tables.items()},
        "embeddings_equal": all(one.read(COLUMNS).equals(two.read(COLUMNS)) for one, two in tables.values()),
        "scores_equal": not differing,
        **({"differing": differing} if differing else {}),
        **{key: ours[key] for key in ("track1", "f1")},
        **{f"official_{key}": as_it_is[key] for key in ("track1", "f1")},
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the demo set that is drawn")
    parser.add_argument("--demo-only", action="store_true", help="leave the real photos out")
    given = parser.parse_args(arguments)
    began = time.perf_counter()
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        draw_demo_set(work / "drawn", share=given.share)
        build_demo_backbone(work / "backbone")
        sets = {"demo": (work / "drawn", work / "backbone")}
        if not given.demo_only and PHILIPPINE_SNAKES.is_dir():
            sets["philippine-snakes"] = (PHILIPPINE_SNAKES, VIT_TINY)
        for name, (official, backbone) in sets.items():
            store = work / name / "official" / "store"
            run(official, store, backbone)
            for layout in LAYOUTS:
                found = compare(layout, official, store, backbone, work / name / layout)
                result[f"{name} {layout}"] = found
                print(name, layout, json.dumps(found), flush=True)
                shutil.rmtree(work / name / layout)
    return finish({**result, "seconds": significant(time.perf_counter() - began)})


if __name__ == "__main__":
    main()
