"""Where tables live: shards, manifests, fingerprints and the folders that hold them."""
