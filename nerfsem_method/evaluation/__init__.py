"""This room measures a bundle against its source clip and against frame codecs."""
