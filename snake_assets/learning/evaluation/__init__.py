"""What a classifier is worth on observations that it has never seen."""
