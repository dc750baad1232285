"""Tests of finding the snake."""
