"""This module says before the work of a long or large clip how much of it there is, and whether the disk has room for it."""

from __future__ import annotations

LONG = 300
"""A clip of more frames is told about: so many are enough for one turn."""
FRAME_BYTES, LEAST_FRAME_BYTES = 1.2, 0.25
"""A frame takes so many bytes a pixel as PNG: 1.09 to 1.50 were measured on the sample clips, 0.49 on an enlarged one. A folder
with room for less than the second is refused."""
EXTRACT_SECONDS = 0.05
"""A million pixels of frames are extracted in this time (measured on two cores: 0.050 to 0.052 on three clips)."""
SOLVE_SECONDS = 1.5
"""A frame's camera and matte take this time (measured on two cores: 172 seconds for 120 frames of 540x960)."""
LARGE, FINE = 4_000_000, 1_000_000
"""A clip whose frames have more pixels than the first is told about: a bundle keeps hardly more than the second shows."""
LARGE_SECONDS = 0.55
"""A million pixels of a large frame take this time in all (measured on two cores: 270 seconds for 24 frames of 20 million)."""


def frame_bytes(frames: int, size: tuple[int, int], each: float = FRAME_BYTES) -> float:
    """Return about how many bytes frames of (width, height) take on the disk."""
    return frames * size[0] * size[1] * each


def announcement(frames: int, size: tuple[int, int], every: int = 1) -> str | None:
    """Return a line about a clip of many frames, or of large ones: roughly the time that its capture takes; None for others.

    So many `frames` of (width, height) are left where of the source's each `every`-th is taken.
    """
    if frames > LONG:
        minutes = frames * (size[0] * size[1] / 1e6 * EXTRACT_SECONDS + SOLVE_SECONDS) / 60
        fewer = every * -(-frames // LONG)
        remedy = f"60 to {LONG} frames are good: --every {fewer} takes one in {fewer}, --scale W:H makes them smaller"
    elif size[0] * size[1] > LARGE:
        minutes = frames * size[0] * size[1] / 1e6 * LARGE_SECONDS / 60
        width, height = (round(side * (FINE / (size[0] * size[1])) ** 0.5) for side in size)
        remedy = f"a bundle keeps hardly more than --scale {width}:{height} shows"
    else:
        return None
    about = f"{frames} frames of {size[0]} x {size[1]}: roughly {max(round(minutes), 1)} minutes for cameras and mattes"
    return f"{about} on two cores, and {frame_bytes(frames, size) / 1e9:.1f} GB of disk; {remedy}"
