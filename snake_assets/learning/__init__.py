"""From vectors to species: one recipe, its choice on folds, its answers and what they are worth.

Plain Python on numpy and torch. What reads photos or knows Dagster is elsewhere.
"""
