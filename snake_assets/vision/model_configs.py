"""What a model's config.json asks for, before transformers builds it: it would try, whatever the numbers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONFIG = "config.json"
# With names for 21,843 classes it has 2 MB.
MOST_BYTES = 16 << 20
# The largest vision transformers have 60. Each is built in Python, whether there are weights for it or not.
MOST_LAYERS = 1000
_COUNTS = ("layers", "depth", "depths", "blocks")


def config_fault(path: Path) -> str | None:
    """Why a config is not to be followed, or None; what cannot be read is left to whoever loads the model."""
    if not path.is_file():
        return None
    if (size := path.stat().st_size) > MOST_BYTES:
        return f"has {size} bytes, more than {MOST_BYTES}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, value in _entries(content):
            if key.endswith(_COUNTS) and isinstance(value, int | float) and value > MOST_LAYERS:
                return f"asks for {value} {key}, more than {MOST_LAYERS}"
            if key.endswith("patch_size") and value == 0:
                return "has a patch_size of 0"
            # A name with an owner is code from the hub, which transformers would fetch and run.
            if key.endswith("attn_implementation") and "/" in str(value):
                return f"asks for {value!r} as {key}, which is code from elsewhere"
    except RecursionError:
        return "is nested too deep"
    except ValueError:
        return None
    return None


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """All keys with their values, of objects within objects too; a list gives its entries under its key."""
    if isinstance(content, dict):
        for key, value in content.items():
            for one in value if isinstance(value, list) else (value,):
                yield key, one
                yield from _entries(one)
