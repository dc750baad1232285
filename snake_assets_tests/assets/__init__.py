"""Tests of snake_assets.assets."""
