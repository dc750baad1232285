"""The embedding pass: from image_table to the embedding tables.

How any pass over photos runs does not belong here (inference), nor the model itself (backbone).
"""
