"""All that knows Dagster: assets, checks, resources, jobs, automation.

The work itself does not belong here: an asset gets its inputs, calls a function of a room below, reports.
"""
