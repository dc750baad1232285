"""Parquet tables in shards, and the manifest that says what a table holds.

What is in a table does not belong here; files that are no tables are bundles.
"""
