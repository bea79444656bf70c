"""Measuring a bundle against its source clip and against frame codecs."""
