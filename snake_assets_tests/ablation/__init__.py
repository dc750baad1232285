"""Tests of the ablation: every switch has its effect."""
