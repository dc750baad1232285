"""The models that find the snake in a photo, behind one interface.

The pass over a table does not belong here (detect.py), nor training (training.py).
"""
