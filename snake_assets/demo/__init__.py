"""The embedded default data: a drawn snake set and a tiny untrained backbone."""
