"""The settings, as Dagster resources with environment defaults.

What is opened by them does not belong here, but in the rooms below.
"""
