"""This room tells a person how a capture went, in figures, in words and on a page."""
