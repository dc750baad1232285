"""The code location is light to import; what it holds is in test_graph."""

import json
import subprocess
import sys

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


def test_loading_imports_nothing_heavy():
    code = (
        "import sys, json, snake_assets.definitions as d; d.defs.get_repository_def(); "
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_steps_that_are_forked_from_what_has_loaded_can_use_polars():
    """A child waits for ever for threads that its parent started: loading must compute nothing."""
    code = (
        "import os, snake_assets.definitions as d, polars as pl; d.defs.get_repository_def(); "
        "child = os.fork(); "
        "pl.DataFrame({'a': [1], 'b': [2]}).group_by('a').agg(pl.col('b').last()); "
        "child and os._exit(os.waitpid(child, 0)[1])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
