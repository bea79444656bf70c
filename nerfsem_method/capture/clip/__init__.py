"""This room reads a clip: its frames, what moves in them, and how sharp they are."""
