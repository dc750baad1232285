"""Tests of snake_assets.plots."""
