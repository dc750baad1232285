"""Tests of snake_assets.figures."""
