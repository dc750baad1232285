"""Tests of snake_assets.defs.assets."""
