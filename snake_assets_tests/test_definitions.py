"""The code location: quick to load, light to import, and shaped as the contract says."""

import json
import subprocess
import sys

import dagster as dg
import pytest

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
PARTITIONED = {"raw_images", "image_table", "dinov2_embeddings", "dct_embeddings", "layer_embeddings"}
WHOLE = {"species_classifier", "validation_report", "submission", "embedding_map", "species_histogram"}
APART = {"paper_ladder"}


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


def test_all_assets_are_there():
    assert {key.to_user_string() for key in graph().materializable_asset_keys} == PARTITIONED | WHOLE | APART


@pytest.mark.parametrize("name", sorted(PARTITIONED | WHOLE | APART))
def test_every_asset_explains_itself(name: str):
    asset = node(name)
    assert len(asset.description or "") > 60
    assert asset.group_name != "default"
    assert asset.kinds
    assert asset.code_version
    assert not asset.owners


def test_splits_are_partitions():
    for name in PARTITIONED:
        assert node(name).partitions_def.get_partition_keys() == ["train", "val", "test"]
    for name in WHOLE | APART:
        assert node(name).partitions_def is None


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("image_table", {"raw_images"}),
        ("dinov2_embeddings", {"image_table"}),
        ("dct_embeddings", {"image_table"}),
        ("layer_embeddings", {"image_table"}),
        ("species_classifier", {"image_table", "dinov2_embeddings", "dct_embeddings", "layer_embeddings"}),
        (
            "validation_report",
            {"species_classifier", "image_table", "dinov2_embeddings", "dct_embeddings", "layer_embeddings"},
        ),
        (
            "submission",
            {"species_classifier", "image_table", "dinov2_embeddings", "dct_embeddings", "layer_embeddings"},
        ),
        ("species_histogram", {"image_table"}),
        ("embedding_map", {"image_table", "dinov2_embeddings", "dct_embeddings"}),
        (
            "paper_ladder",
            {"species_classifier", "image_table", "dinov2_embeddings", "dct_embeddings", "layer_embeddings"},
        ),
    ],
)
def test_what_depends_on_what(name: str, parents: set[str]):
    assert {key.to_user_string() for key in node(name).parent_keys} == parents


def test_the_classifier_reads_train_alone_and_the_report_compares_val_with_it():
    def splits_read(name: str) -> set[str]:
        mappings = [node(name).partition_mappings.get(key) for key in node(name).parent_keys]
        return {key for mapping in mappings if mapping for key in mapping.partition_keys}

    assert splits_read("species_classifier") == {"train"}
    assert splits_read("validation_report") == {"train", "val"}
    assert splits_read("paper_ladder") == {"train", "val"}


def test_jobs():
    repository = defs.get_repository_def()
    jobs = {job.name: job for job in repository.get_all_jobs()}
    assert {"snakeclef", "features", "train", "predict", "ladder"} <= jobs.keys()

    def keys(name: str) -> set[str]:
        return {key.to_user_string() for key in jobs[name].asset_layer.executable_asset_keys}

    assert keys("snakeclef") == PARTITIONED | WHOLE
    assert keys("features") == PARTITIONED
    assert keys("train") == WHOLE - {"submission"}
    assert keys("ladder") == APART
    assert keys("predict") == PARTITIONED | {"submission"}
    assert jobs["features"].partitions_def is not None
    assert jobs["snakeclef"].tags["dagster/asset_partition_range_end"] == "test"


def test_all_embedding_tables_come_out_of_one_step():
    steps = {
        defs.get_assets_def(name).op.name
        for name in ("dinov2_embeddings", "dct_embeddings", "layer_embeddings")
    }
    assert steps == {"embeddings"}
