"""This room makes the background of PC bundles: frames with the object painted over, as a stream or a network (section 6)."""
