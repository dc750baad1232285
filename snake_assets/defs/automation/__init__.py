"""Schedules and sensors, and what tells them that something is stale.

What runs when it is asked for does not belong here (jobs.py, assets).
"""
