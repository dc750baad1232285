"""From bytes to vectors: decode, preprocess, backbone, DCT."""
