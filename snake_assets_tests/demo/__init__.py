"""Tests of the embedded default data."""
