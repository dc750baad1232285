"""What may be chosen without looking at val: folds, near duplicates, scores on held-out photos.

The models that are tried do not belong here (linear_head, neighbours).
"""
