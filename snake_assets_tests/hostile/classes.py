"""All classes of hostile input."""

from snake_assets_tests.hostile import archives, models, photos, shards, tables

CLASSES = {
    "archives": archives.CASES,
    "metadata": tables.CASES,
    "photos": photos.CASES,
    "shards": shards.CASES,
    "models": models.CASES,
}
