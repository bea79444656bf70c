"""This room runs COLMAP, in a process of its own that imports pycolmap, NumPy, the standard library and this room alone."""
