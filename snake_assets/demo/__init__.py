"""The embedded default: a drawn snake set in the official layout, and a tiny untrained backbone.

Nothing here is used once SNAKE_DATA and SNAKE_BACKBONE are set; test data does not belong here.
"""
