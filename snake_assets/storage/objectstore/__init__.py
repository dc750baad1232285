"""Google Cloud Storage: objects by a path's verbs (gcs), and objects brought to files (mirror).

What a table or a bundle is does not belong here (tables, bundles).
"""
