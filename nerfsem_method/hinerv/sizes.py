"""Sizes are networks for clips of any length and frame size, each with what its training does."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, prod
from typing import Literal

from nerfsem_method.codec.hinerv import Shape, Stage

SizeName = Literal["small", "medium", "large"]

GRID_ROWS = 9
"""A grid has about so many cells along the shorter side of the frame: HiNeRV's small grids have 9 x 16."""
SCALES = (
    (2,), (3,), (2, 2), (3, 2), (4, 2), (5, 2), (3, 2, 2), (5, 3), (4, 2, 2), (5, 2, 2), (4, 3, 2), (5, 3, 2), (4, 2, 2, 2),
    (5, 4, 2), (5, 3, 2, 2), (5, 4, 2, 2), (5, 4, 3, 2),
)  # fmt: skip
"""A network enlarges its grid by one of these sequences, the largest scale first, as HiNeRV does: late stages cost most."""


@dataclass(frozen=True)
class Recipe:
    """A recipe is a network's shape and what its training does.

    Attributes:
        epochs: So many times every pixel is looked at.
        rate_weight: Lambda is the mean squared error, of colours in [0, 1], that one byte may save.
        learning_rate: The largest learning rate of the weights.
        rounding_from: The weights are rounded, and their bytes count, from this share of the training on.
    """

    shape: Shape
    epochs: int
    rate_weight: float
    learning_rate: float = 5e-3
    rounding_from: float = 0.5


@dataclass(frozen=True)
class Size:
    """A size says how many channels and features a network has, how many frames a key serves, and its lambda."""

    channels: int
    features: int
    frames_a_key: int
    tiles: int
    depth: int
    rate_weight: float
    epochs: int


SIZES: dict[SizeName, Size] = {
    "small": Size(24, 1, 6, 1, 2, 2e-7, 100),
    "medium": Size(24, 2, 4, 1, 2, 3e-8, 100),
    "large": Size(40, 3, 3, 2, 3, 1e-8, 60),
}


def recipe(name: SizeName, frames: int, height: int, width: int) -> Recipe:
    """Return the network of a size for a clip, and its training."""
    size, scales = SIZES[name], scales_for(height, width)
    depths = [size.depth, *[2] * (len(scales) - 2), 1][-len(scales) :]
    expansions = [*[4] * (len(scales) - 1), 1]
    stages = tuple(Stage(*numbers) for numbers in zip(scales, depths, expansions, strict=True))
    channels = max(size.channels, 4 << (len(scales) - 1))
    shape = Shape(channels, max(frames // size.frames_a_key, 1), size.features, size.tiles, stages)
    return Recipe(shape, size.epochs, size.rate_weight)


def scales_for(height: int, width: int) -> tuple[int, ...]:
    """Return the scales whose grid has about GRID_ROWS cells along the shorter side, and little beyond the frame."""

    def cost(scales: tuple[int, ...]) -> float:
        step = prod(scales)
        beyond = (-(-height // step) * step) * (-(-width // step) * step) / (height * width)
        return abs(log(step * GRID_ROWS / min(height, width))) + 4 * log(beyond)

    return min(SCALES, key=cost)
