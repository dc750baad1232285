"""From the probabilities of photos to one species of an observation."""
