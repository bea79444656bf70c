"""This room holds HiNeRV (Kwan et al., 2023), which paints the frames of a clip: the part without torch."""
