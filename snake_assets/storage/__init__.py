"""Where everything that is made is kept: tables, bundles, fingerprints, folders and buckets.

What is in them does not belong here.
"""
