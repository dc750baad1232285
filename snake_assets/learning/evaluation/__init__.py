"""What a classifier is worth on observations that it has never seen: the report and its parts.

Nothing is chosen here (cross_validation), and nothing drawn (plots).
"""
