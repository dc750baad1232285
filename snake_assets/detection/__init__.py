"""From photos to the part that shows the snake: finders, and a detector of our own."""
