"""Tests of the ladder: every switch has its effect."""
