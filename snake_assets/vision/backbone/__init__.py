"""The vision transformer: its files, its weights, and the features of its tokens.

How photos reach it does not belong here.
"""
