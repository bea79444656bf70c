"""This room reads pictures whose cameras another program has found: nerfstudio's transforms.json and COLMAP's models."""
