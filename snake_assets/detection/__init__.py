"""Where in a photo the snake is: the pass of a finder over image_table, and a detector of our own.

How a crop is cut and seen does not belong here (vision).
"""
