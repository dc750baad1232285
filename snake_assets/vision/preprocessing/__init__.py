"""From pixels to what the backbone takes: crops, resizing, normalisation.

Reading files does not belong here (decoding).
"""
