"""Pictures for the UI and the store, as encoded files; matplotlib is imported only when one is drawn.

What is computed to be drawn does not belong here (learning/evaluation, data_quality).
"""
