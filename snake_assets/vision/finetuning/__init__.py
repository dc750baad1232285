"""Training a backbone further on labelled photos: what is trained, on which pixels, for how long.

What belongs here knows photos and classes, not species: labels, what is held out and the head's first weights
come from the caller (`snake_assets.learning.tuning`).
"""
