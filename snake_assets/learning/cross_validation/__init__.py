"""What may be chosen without looking at val: folds, near duplicates, scores on held-out photos."""
