"""A filter is fitted to a finished field: what its frames show against what the clip has, on patches drawn from all along it.

Frames and clip are compared as they are measured, over white, and over other grounds, so that alpha counts too. The weights'
gradients are taken in a basis in which neighbouring pixels are uncorrelated: in their own, which are nearly equal to each other,
descent takes many times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nerfsem_method.codec.coder import Meter
from nerfsem_method.codec.filter import CHANNELS, TAPS, Filter, code_filter
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.tints import exposed
from nerfsem_method.raycast.caster import Raycaster
from nerfsem_method.training.rounding import largest_integer, rounded, step_exponent, stored

WIDTH = 12
"""A wider filter gains a few hundredths of a decibel for hundreds of bytes."""
BITS_A_WEIGHT = 6
"""A weight takes about so many bits (vase and perikles, 360 wide and more)."""
BITS = 7
"""The largest weight of a layer has so many bits."""
LIMIT = largest_integer(BITS)
"""A weight that grows beyond this after its step was fixed is cut off."""
FRAMES = 24
"""The filter is fitted to so many frames, evenly spread."""
PATCH, PATCHES = 48, 16
"""A step looks at so many patches of so many pixels a side."""
LEARNING_RATE = 4e-3
CORRELATED = 3e-2
"""Patterns of pixels whose mean square is below this are not made equal to stronger ones: their weights would become too large to
be stored."""
BORDER_WEIGHT = 0.3
"""Pixels around the object count so much beside its own: a filter that is to serve both alike gains them 0.4 dB less
(docs/decisions/022)."""
SEEN = 0.02
"""What is fainter is not looked at."""
ROUNDED_FROM = 0.5
"""Weights are rounded after this share of the steps."""


@dataclass(frozen=True)
class FilterGain:
    """A filter that pays, with the bytes that it takes and the decibels of PSNR-CENTER that it gains; None, 0, 0 otherwise."""

    filter: Filter | None = None
    bytes: float = 0.0
    decibels: float = 0.0

    @classmethod
    def expected(cls, steps: int) -> FilterGain:
        """Return what a filter that is fitted in so many steps will take, as long as nothing is known of its clip."""
        return cls(bytes=2 * WIDTH * CHANNELS * TAPS * TAPS * BITS_A_WEIGHT / 8 if steps else 0.0)


@dataclass(frozen=True)
class _Pair:
    """A frame as it is rendered, [4, H, W] premultiplied RGBA, and as the clip has it; both are cut to the object."""

    rendered: Tensor
    wanted: Tensor


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work in one thread: so few channels keep no second one busy, and `ns-export` gives the bytes of `compress`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def find_filter(
    bundle: Bundle, frame: Callable[[int], np.ndarray], frames: Sequence[int], steps: int, byte_weight: float
) -> FilterGain:
    """Return the filter of a bundle without one, if it lowers D + lambda R.

    Args:
        frame: it gives a frame of the clip, uint8 [H, W, 4], straight alpha.
        frames: the numbers of those frames that were trained on.
        steps: the fit takes so many; 0 means that no filter is wanted.
        byte_weight: lambda, the mean squared error over all pixels of the video that a byte may save.
    """
    if not steps or not frames:
        return FilterGain()
    caster, colors = Raycaster(bundle.state, bundle.camera), bundle.colors
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)]
    shown = (caster.through(bundle.camera_of(i)).picture(bundle.poses[i]) for i in chosen)
    pairs = [_pair(exposed(picture, colors[i]), frame(i)) for picture, i in zip(shown, chosen, strict=True)]
    pairs = [pair for pair in pairs if pair is not None]
    if not pairs:
        return FilterGain()
    fitted = _fit(pairs, steps)
    pixels = bundle.camera.width * bundle.camera.height * len(chosen)
    plain, sharp = _errors(pairs, None), _errors(pairs, fitted)
    size = _bytes(fitted)
    if not plain.weighted - sharp.weighted > byte_weight * size * pixels:
        return FilterGain()
    return FilterGain(fitted, size, 10 * math.log10(plain.center / sharp.center) if sharp.center else 0.0)


def _pair(rendered: np.ndarray, frame: np.ndarray) -> _Pair | None:
    """Cut a rendering and a frame to the object with a patch's room around it; return None where there is no object."""
    seen = (rendered[..., 3] > SEEN) | (frame[..., 3] > 255 * SEEN)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not rows.size or min(seen.shape) < TAPS:
        return None
    box = tuple(slice(max(used[0] - PATCH // 2, 0), used[-1] + PATCH // 2) for used in (rows, columns))
    wanted = frame[box].astype(np.float32) / 255
    wanted[..., :3] *= wanted[..., 3:]
    both = [torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))) for picture in (rendered[box], wanted)]
    return _Pair(*both)


def _draw(pairs: list[_Pair], generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return patches of renderings and of the clip, both [PATCHES, 4, P, P]; P is PATCH, or less where frames are small."""
    side = min(PATCH, *(min(pair.wanted.shape[1:]) for pair in pairs))
    rendered, wanted = [], []
    for _ in range(PATCHES):
        pair = pairs[generator.integers(len(pairs))]
        row, column = (int(generator.integers(length - side + 1)) for length in pair.wanted.shape[1:])
        cut = (slice(None), slice(row, row + side), slice(column, column + side))
        rendered.append(pair.rendered[cut])
        wanted.append(pair.wanted[cut])
    return torch.stack(rendered), torch.stack(wanted)


class _Net(nn.Module):
    """This is a filter in training: the first layer's weights are `basis` [n, n] applied to parameters, n = 4 * 3 * 3."""

    def __init__(self, basis: Tensor, seed: torch.Generator) -> None:
        super().__init__()
        self.basis = basis
        self.first = nn.Parameter(torch.randn(WIDTH, len(basis), generator=seed) / math.sqrt(len(basis)))
        self.second = nn.Parameter(torch.zeros(CHANNELS, WIDTH, TAPS, TAPS))
        self.exponents: tuple[int, int] | None = None

    def weights(self) -> tuple[Tensor, Tensor]:
        """Return both layers' weights, as they are before they are rounded."""
        return (self.first @ self.basis).view(WIDTH, CHANNELS, TAPS, TAPS), self.second

    def round(self) -> None:
        """Fix the steps, by the weights as they are, and round from now on."""
        first, second = self.weights()
        self.exponents = step_exponent(first, BITS), step_exponent(second, BITS)

    def forward(self, picture: Tensor) -> Tensor:
        first, second = self.weights()
        if self.exponents is not None:
            first, second = rounded((first, second), self.exponents, LIMIT)
        return _filtered(picture, first, second)

    def kept(self) -> Filter:
        """Return the filter as a bundle stores it."""
        assert self.exponents is not None
        return Filter(*(stored(w, e, LIMIT) for w, e in zip(self.weights(), self.exponents, strict=True)))


def _filtered(picture: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return pictures [B, 4, H, W] made sharper, as `raycast.filtering` does."""
    hidden = functional.relu(functional.conv2d(_edged(picture), first))
    moved = picture + functional.conv2d(_edged(hidden), second)
    alpha = moved[:, 3:].clamp(0, 1)
    return torch.cat([torch.minimum(moved[:, :3].clamp(min=0), alpha), alpha], 1)


def _edged(picture: Tensor) -> Tensor:
    return functional.pad(picture, (TAPS // 2,) * 4, mode="replicate")


@torch.enable_grad()
def _fit(pairs: list[_Pair], steps: int) -> Filter:
    generator, seed = np.random.default_rng(0), torch.Generator().manual_seed(0)
    net = _Net(_basis(pairs, generator), seed)
    optimizer = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        if step == int(ROUNDED_FROM * steps):
            net.round()
        rendered, wanted = _draw(pairs, generator)
        # half of the patches lie over white, where pictures are measured
        ground = torch.rand(len(wanted), 1, 1, 1, generator=seed).mul(2).clamp(max=1)
        shown = net(rendered)
        error = shown[:, :3] - wanted[:, :3] - (shown[:, 3:] - wanted[:, 3:]) * ground
        near = (rendered[:, 3:] > SEEN) | (wanted[:, 3:] > SEEN)
        weight = torch.where(wanted[:, 3:] > 0.5, 1.0, BORDER_WEIGHT * near)
        loss = (error.square() * weight).sum() / weight.sum().clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.kept()


def _basis(pairs: list[_Pair], generator: np.random.Generator) -> Tensor:
    """Return patterns [n, n] of n = 4 * 3 * 3 neighbouring values whose strengths are nearly equal and uncorrelated."""
    rendered = torch.cat([_draw(pairs, generator)[0] for _ in range(4)])
    values = functional.unfold(rendered, TAPS).transpose(1, 2).flatten(0, 1)
    values = values[values.any(1)].double()
    strengths, patterns = torch.linalg.eigh(values.T @ values / max(len(values), 1))
    return (patterns / (strengths.clamp(min=0) + CORRELATED).sqrt()).T.float()


@dataclass(frozen=True)
class _Errors:
    """These are squared errors over white: a weighted sum over all pixels, and the mean over the object's."""

    weighted: float
    center: float


@torch.no_grad()
def _errors(pairs: list[_Pair], kept: Filter | None) -> _Errors:
    weighted, center, count = 0.0, 0.0, 0
    for pair in pairs:
        shown = pair.rendered
        if kept is not None:
            shown = _filtered(shown[None], *map(torch.from_numpy, kept.layers))[0]
        difference = shown[:3] - pair.wanted[:3] - shown[3:] + pair.wanted[3:]
        error = difference.square().mean(0)
        inside = pair.wanted[3] > 0.5
        weighted += float(error[inside].sum() + BORDER_WEIGHT * error[~inside].sum())
        center, count = center + float(error[inside].sum()), count + int(inside.sum())
    return _Errors(weighted, center / max(count, 1))


def _bytes(kept: Filter) -> float:
    meter = Meter()
    code_filter(meter, kept)
    return meter.bits / 8
