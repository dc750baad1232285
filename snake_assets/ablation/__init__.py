"""The ablation: from the seed paper's recipe, faults included, to the package's own, one change at a time."""
