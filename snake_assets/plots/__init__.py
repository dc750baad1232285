"""Pictures for the UI and the store, as encoded files; matplotlib is imported only when one is drawn."""
