"""Tests of snake_assets; the folders mirror the package."""
