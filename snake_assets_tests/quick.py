"""The code location as servers of tests load it: all steps of a run in one process, and a map without UMAP.

Each process that loads torch or compiles UMAP takes ten to twenty seconds for that.
"""

import dagster as dg

from snake_assets.definitions import build_definitions
from snake_assets.plots import embedding_map

embedding_map.flatten = lambda vectors: vectors[:, :2]
defs = build_definitions(executor=dg.in_process_executor)
