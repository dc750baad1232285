"""What several assets share: partitions, retries, metadata, progress.

What only one file needs does not belong here.
"""
