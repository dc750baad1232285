"""From the seed paper's recipe, faults included, to the package's own, one change at a time.

What both recipes share does not belong here (learning).
"""
