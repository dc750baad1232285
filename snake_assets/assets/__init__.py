"""The assets: what exists, what it depends on, what it reports. The work is done in the rooms below."""
