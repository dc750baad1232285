"""Tests of snake_assets.snakeclef."""
