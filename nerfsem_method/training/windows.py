"""Windows slide over pictures here: the largest and the smallest value in each square of pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def largest(picture: Tensor, size: int) -> Tensor:
    """Return the largest values [H - size + 1, W - size + 1] of all squares of `size` pixels within a picture [H, W]."""
    return _chosen(picture, size, torch.maximum)


def smallest(picture: Tensor, size: int) -> Tensor:
    """Return the smallest values likewise."""
    return _chosen(picture, size, torch.minimum)


def framed(picture: Tensor, margin: int, value: float) -> Tensor:
    """Return a picture [H, W] with so many pixels of a value on each side."""
    return functional.pad(picture, (margin, margin, margin, margin), value=value)


def _chosen(picture: Tensor, size: int, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Each turn doubles the window, rows first: torch's pooling compares all pixels of every square."""
    for axis in (0, 1):
        done = 1
        while done < size:
            step = min(done, size - done)
            length = picture.shape[axis] - step
            picture = choose(picture.narrow(axis, 0, length), picture.narrow(axis, step, length))
            done += step
    return picture
