"""The binary radiance field is described here: its specification, which entries its tables have, and its state; no torch."""
