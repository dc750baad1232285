"""What can be wrong with a finder, its weights, or the boxes it is trained on."""


class DetectionError(ValueError):
    """A finder, weights or boxes that cannot be used; the message says what was found, where, what to do."""
