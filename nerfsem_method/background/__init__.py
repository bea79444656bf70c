"""This room makes the background layer of PC bundles: frames with the object painted over, as H.264 (method, section 6)."""
