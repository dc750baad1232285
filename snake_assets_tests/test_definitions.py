"""The code location: light to import, and honest about what reads what; its shape is in test_graph."""

import json
import subprocess
import sys

import dagster as dg

from snake_assets.definitions import defs

HEAVY = (
    "torch",
    "torchvision",
    "transformers",
    "ultralytics",
    "ray",
    "umap",
    "matplotlib",
    "sklearn",
    "scipy",
)


def graph():
    return defs.resolve_asset_graph()


def node(name: str):
    return graph().get(dg.AssetKey(name))


def test_loading_imports_nothing_heavy():
    code = (
        "import sys, json, snake_assets.definitions as d; d.defs.get_repository_def(); "
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_classifier_reads_train_alone_and_the_report_val_and_the_classifier():
    def splits_read(name: str) -> set[str]:
        mappings = [node(name).partition_mappings.get(key) for key in node(name).parent_keys]
        return {key for mapping in mappings if mapping for key in mapping.partition_keys}

    assert splits_read("species_classifier") == {"train"}
    assert splits_read("validation_report") == {"val"}
    assert dg.AssetKey("species_classifier") in node("validation_report").parent_keys


def test_all_embedding_tables_come_out_of_one_step():
    steps = {defs.get_assets_def(name).op.name for name in ("dinov2_embeddings", "dct_embeddings")}
    assert steps == {"embeddings"}
