"""Google Cloud Storage: objects by a path's verbs (gcs), and objects brought to files (mirror)."""
