"""Raw data as people have it: folders, archives, buckets, and the inventory of its photos.

What the metadata says of a photo does not belong here (snakeclef).
"""
