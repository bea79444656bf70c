"""These programs measure what takes how long, and how much memory."""
