"""This room finds the camera of every frame: from the clip to a sparse model, and from COLMAP's world to the unit cube."""
