"""From the bytes of a file to pixels, and why there are none.

Resizing and normalising do not belong here (preprocessing).
"""
