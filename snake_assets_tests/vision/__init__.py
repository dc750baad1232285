"""Tests of the room that goes from bytes to vectors."""
