"""Tests of learning/cross_validation."""
