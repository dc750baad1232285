"""From the probabilities of photos to one species of an observation: calibration, pooling, rules.

How probabilities come about does not belong here.
"""
