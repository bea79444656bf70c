"""The points on the object are written as a PLY file, which any viewer of point clouds opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_ply(path: Path, points: np.ndarray, colours: np.ndarray) -> None:
    """Write a binary little-endian PLY file of points [P, 3] with colours [P, 3] uint8."""
    row = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])
    table = np.zeros(len(points), row)
    table["position"], table["colour"] = points, colours
    names = "".join(f"property float {axis}\n" for axis in "xyz")
    names += "".join(f"property uchar {channel}\n" for channel in ("red", "green", "blue"))
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{names}end_header\n"
    path.write_bytes(header.encode("ascii") + table.tobytes())
