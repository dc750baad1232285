"""The assets, one file per group; each body reads like a sentence.

What they compute does not belong here, but in the room that they call.
"""
