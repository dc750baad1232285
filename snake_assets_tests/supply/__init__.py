"""What is installed: its licences, and holes."""
