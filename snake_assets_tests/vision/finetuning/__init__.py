"""Tests of snake_assets/vision/finetuning."""
