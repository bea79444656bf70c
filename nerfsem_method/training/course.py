"""When what happens in the course of a training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    """The stages of training, as shares of the number of steps."""

    prune_from: float = 0.02
    """Where the occupancy begins to be carved."""
    prune_every: float = 0.02
    """How often it is carved."""
    freeze_at: float = 0.6
    """Where the occupancy is final."""
    quantise_at: float = 0.75
    """Where the heads' weights go onto the grid that the bundle stores."""
    rate_from: float = 0.1
    """Where the rate term sets in."""
    align_at: tuple[float, ...] = (0.3, 0.45, 0.6, 0.75, 0.85)
    """Where cameras and exposures are aligned with the field."""
    prune_threshold: float = 0.08
    """Share of a ray's colour that a voxel must once have had to stay."""
    freeze_thresholds: tuple[float, float] = (0.1, 0.02)
    """The same when the occupancy becomes final: for a voxel by itself, and for one beside such a voxel."""
    sharpness: float = 0.06
    """Weight of the regulariser that draws each ray's light to one depth; not a share."""
    rate_samples: int = 8192
    """Entries a step on which the rate is estimated; not a share."""
