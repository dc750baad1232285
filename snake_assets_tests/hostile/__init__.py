"""Files that mean harm, by class: each is refused by name or read right, and nothing else changes."""
