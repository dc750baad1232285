"""All classes of hostile input."""

from snake_assets_tests.hostile import archives, tables

CLASSES = {"archives": archives.CASES, "metadata": tables.CASES}
