"""From vectors to species: heads, calibration, observations, decisions. Plain Python on numpy and torch."""
