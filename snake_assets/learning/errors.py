"""What can be wrong with the material of a classifier."""


class LearningError(ValueError):
    """Features, labels or a stored classifier that cannot be used; the message says what to do."""
