"""Tests of the room that goes from vectors to species."""
