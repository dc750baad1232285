"""Tests of learning/evaluation."""
