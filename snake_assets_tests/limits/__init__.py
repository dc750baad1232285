"""What the platform must bear: stated in docs/limits.md, held here."""
