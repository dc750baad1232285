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
