"""Tests of learning/decision."""
