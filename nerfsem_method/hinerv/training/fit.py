"""A network is fitted to the frames of a clip: first as it is, then rounded, with its bytes in the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, cos, pi

import numpy as np
import torch
from torch import Tensor

from nerfsem_method.codec.hinerv import NeuralBackground
from nerfsem_method.hinerv.geometry import Span
from nerfsem_method.hinerv.sizes import Recipe
from nerfsem_method.hinerv.training.network import Network, new_weights
from nerfsem_method.hinerv.training.rounding import NOISE, Rounding
from nerfsem_method.progress import Advance

PART = 1 << 14
"""A training step looks at a part of a frame of about so many pixels: for the same work, more steps fit better."""
WARM_UP = 0.02
"""This share of the steps raises the learning rate."""
STEP_RATE = 0.02
"""Logarithms of steps are learned at this rate: they move by an octave or two in all."""
Pictures = Sequence[np.ndarray] | np.ndarray
"""Pictures are one a frame, in a list or in one array."""


def fit(frames: Pictures, mattes: Pictures, recipe: Recipe, advance: Advance) -> NeuralBackground:
    """Return the network that paints frames uint8 [H, W, 3] where mattes uint8 [H, W] are not 255: there nothing counts.

    The same clip and recipe give the same network, on one processor. Raises ValueError where frames and mattes differ in number.
    """
    if len(frames) != len(mattes):
        raise ValueError(f"{len(frames)} frames and {len(mattes)} mattes")
    with _one_thread():
        return _Fit(frames, mattes, recipe).run(advance)


class _Fit:
    """A fit holds what one training needs."""

    def __init__(self, frames: Pictures, mattes: Pictures, recipe: Recipe) -> None:
        self._frames, self._mattes, self._recipe = frames, mattes, recipe
        height, width = frames[0].shape[:2]
        size = len(frames), height, width
        self._chance = torch.Generator().manual_seed(0)
        self._network = Network(recipe.shape, *size)
        self._rounding = Rounding(recipe.shape.tensor_shapes(*size))
        self._theta = self._rounding.flat(new_weights(recipe.shape, *size, self._chance)).requires_grad_()
        self._steps = torch.zeros(len(recipe.shape.tensor_shapes(*size)), requires_grad=True)
        self._parts = parts(height, width)

    def run(self, advance: Advance) -> NeuralBackground:
        recipe, total = self._recipe, self._recipe.epochs * len(self._frames) * len(self._parts)
        optimiser = torch.optim.Adam([{"params": [self._theta]}, {"params": [self._steps]}], betas=(0.9, 0.99))
        rounding_from = int(recipe.rounding_from * total)
        for step, (index, rows, columns) in enumerate(self._order()):
            if step == rounding_from:
                self._steps.data = self._rounding.first_steps(self._theta)
            for group, rate in zip(optimiser.param_groups, (recipe.learning_rate, STEP_RATE), strict=True):
                group["lr"] = rate * _share_of_rate(step / total)
            optimiser.zero_grad()
            error, bits = self._loss(index, rows, columns, step >= rounding_from)
            (error + recipe.rate_weight / 8 * bits).backward()
            optimiser.step()
            if step % 50 == 0:
                advance(step, total, f"error {error.item():.5f}, {bits.item() / 8:.0f} bytes")
        return NeuralBackground(recipe.shape, self._rounding.stored(self._theta, self._steps))

    def _order(self) -> Iterator[tuple[int, Span, Span]]:
        """Yield the parts of all frames, in another order in each epoch."""
        for _ in range(self._recipe.epochs):
            for number in torch.randperm(len(self._frames) * len(self._parts), generator=self._chance).tolist():
                index, part = divmod(number, len(self._parts))
                yield index, *self._parts[part]

    def _loss(self, index: int, rows: Span, columns: Span, rounds: bool) -> tuple[Tensor, Tensor]:
        """Return the mean squared error of a part, by its background, and the bits of all weights; 0 before any are rounded."""
        flat, bits = self._theta, torch.zeros(())
        if rounds:
            kept = torch.rand(len(flat), generator=self._chance) > NOISE
            flat, bits = self._rounding.rounded(flat, self._steps, kept)
        rows, columns = (_on_axis(span, axis) for span, axis in ((rows, self._network.rows), (columns, self._network.columns)))
        made = self._network.paint(self._rounding.apart(flat), index, rows, columns)
        seen = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        truth = torch.from_numpy(self._frames[index][seen].astype(np.float32)) / 255
        weight = (1 - torch.from_numpy(self._mattes[index][seen].astype(np.float32)) / 255) ** 2
        return ((made - truth).square().mean(-1) * weight).mean(), bits


def parts(height: int, width: int) -> list[tuple[Span, Span]]:
    """Return the parts of a frame, rows and columns of about PART pixels."""
    down = ceil(height / PART**0.5)
    across = max(round(height * width / PART / down), 1)
    lines = [[Span(size * i // count, size * (i + 1) // count, size) for i in range(count)] for size, count in
             ((height, down), (width, across))]  # fmt: skip
    return [(rows, columns) for rows in lines[0] for columns in lines[1]]


def _on_axis(span: Span, axis: Span) -> Span:
    return Span(span.start, span.stop, axis.size)


def _share_of_rate(done: float) -> float:
    """Return the share of the learning rate when a share of the steps is done: a rise, then half a cosine."""
    return min(done / WARM_UP + 0.01, 1.0) * (0.01 + 0.99 * (1 + cos(pi * done)) / 2)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work in one thread: so few channels keep no second one busy, and its sums come in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
