"""From the bytes of a photo to vectors: decoding, preprocessing, backbone, inference, embedding.

Where a photo comes from does not belong here (snakeclef), nor what its vectors mean (learning).
"""
