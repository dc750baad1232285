"""Tries every fault and every class of input, and writes what came of it to docs/reliability.md."""
