"""Google Cloud Storage on loopback, for tests."""
