"""Tests of snake_assets.storage."""
