"""What asset checks look at, as plain Python: labels, vectors, drift, copies across splits, row accounts.

All raise StorageError where a shard cannot be read. Dagster, thresholds and severities do not belong here
(defs/checks), nor what trains or judges (learning).
"""
