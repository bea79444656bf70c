"""This module draws the outline at the frame's own size: the cut of least energy near the fused body's outline, softened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.capture.mattes import colour
from nerfsem_method.compiled import njit

DOUBT = 0.003
"""Within so many long sides from the expected outline a pixel may be on either side."""
REACH = 0.03
"""Pixels within so many long sides from it tell the local colours of the background."""
RADIUS = 0.006
"""The neighbourhood that tells local colours has a radius of so many long sides."""
LIMIT = 3.0
"""The log odds of one pixel's colour are no larger than this, because colours mislead."""
SURE = 0.02
"""The fused body leaves so much of a chance to the opposite, because it is no finer than its voxels."""
TENSION = 4.0
"""A pixel's length of outline on a uniform surface costs so much energy, in log odds, and keeps the outline short there."""
EDGE_TENSION = 0.1
"""This share of it is left on the sharpest edges, to which the outline is drawn."""
SOFTNESS = 0.5
"""A blur of this standard deviation in pixels gives the outline its soft edge."""
CUT_STEPS = 120
"""The cut takes so many steps of each kind; it starts near its end, from the expected outline."""
STEP = 0.35
"""The primal and the dual step of the cut are this long; their product times 8 must stay below 1."""


@dataclass(frozen=True)
class Zones:
    """Zones are pixels [H, W] bool: surely `inside` the object, surely `outside` of it but near, and all that are `near`."""

    inside: np.ndarray
    outside: np.ndarray
    near: np.ndarray

    @classmethod
    def around(cls, chance: np.ndarray, doubt: float, reach: float) -> Zones:
        """Return the zones by the outline where `chance` [H, W] crosses one half.

        The `doubt` pixels on both sides belong to neither; all within `reach` pixels and the inside are near.
        """
        import cv2

        body = (chance > 0.5).astype(np.uint8)
        depth = cv2.distanceTransform(body, cv2.DIST_L2, 5)
        distance = cv2.distanceTransform(1 - body, cv2.DIST_L2, 5)
        near = distance <= (reach if body.any() else -1)
        return cls(depth > doubt, near & (distance > doubt), near)


def refine(picture: np.ndarray, chance: np.ndarray, space: colour.ColourSpace = colour.AS_IT_IS) -> np.ndarray:
    """Return the matte [H, W] uint8 of a picture [H, W, 3] uint8, blue first, from the chance [h, w] of each pixel being object.

    `chance` may be of any size; the outline moves by about DOUBT long sides at most. Colours are compared in `space`.
    """
    import cv2

    height, width = picture.shape[:2]
    long_side = max(height, width)
    expected = cv2.resize(chance, (width, height), interpolation=cv2.INTER_CUBIC).clip(SURE, 1 - SURE)
    zones = Zones.around(expected, DOUBT * long_side, REACH * long_side)
    matte = np.zeros((height, width), np.uint8)
    if not zones.near.any():
        return matte
    rows, columns = (np.flatnonzero(zones.near.any(axis)) for axis in (1, 0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part = Zones(zones.inside[window], zones.outside[window], zones.near[window])
    matte[window] = _refine_window(space.of_picture(picture)[window], expected[window], part, RADIUS * long_side)
    return matte


def _refine_window(colours: np.ndarray, expected: np.ndarray, zones: Zones, radius: float) -> np.ndarray:
    """Return the matte of a part of the picture that holds the whole outline; `radius` is in pixels."""
    import cv2

    odds = colour.local_odds(colours, zones.inside, zones.outside, radius).clip(-LIMIT, LIMIT)
    odds += np.log(expected / (1 - expected))
    odds[~zones.near] = -LIMIT
    share = expected.copy()
    cut(odds, _tension(colours, zones.near), share)
    return np.round(255 * cv2.GaussianBlur(share, (0, 0), SOFTNESS)).astype(np.uint8)


def _tension(colours: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return what a pixel of outline costs [H, W]: little where the colour changes."""
    import cv2

    smooth = cv2.GaussianBlur(colours, (0, 0), 0.7)
    slopes = [cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))]
    steepness = np.sum(np.square(slopes), (0, -1))
    usual = max(float(steepness[near].mean()), 1e-6)
    return (TENSION * (EDGE_TENSION + (1 - EDGE_TENSION) * np.exp(-steepness / usual))).astype(np.float32)


_by_rows = njit(cache=True, nogil=True, error_model="numpy")
"""Loops of rows do many pixels at once by NumPy's rules of division: Python's would have each pixel's divisor looked at first."""


@_by_rows
def cut(odds: np.ndarray, tension: np.ndarray, share: np.ndarray) -> None:  # pragma: no cover (compiled)
    """Change `share` [H, W] float32 in [0, 1] to the minimum of sum(tension * |gradient of share| - odds * share).

    The sum is convex, so no start is wrong. Primal and dual steps follow in turn (Chambolle and Pock 2011, algorithm 1), row by
    row: a row's dual step needs none of the rows above.
    """
    height, width = odds.shape
    across, down = np.zeros((height, width + 1), np.float32), np.zeros((height + 1, width), np.float32)
    ahead = np.empty((height, width + 1), np.float32)  # The last column repeats the one before, so that nothing flows out there.
    ahead[:, :width], ahead[:, width] = share, share[:, width - 1]
    for _ in range(CUT_STEPS):
        for y in range(height):
            _dual_step(across[y, 1:], down[y + 1], ahead[y], ahead[min(y + 1, height - 1)], tension[y])
            _primal_step(across[y], down[y], down[y + 1], odds[y], share[y], ahead[y])


@_by_rows
def _dual_step(
    across: np.ndarray, down: np.ndarray, here: np.ndarray, below: np.ndarray, tension: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Change what flows from a row's pixels [W] to the right and down, by the shares [W + 1] `here` and in the row `below`."""
    step, one = np.float32(STEP), np.float32(1)
    for x in range(len(tension)):
        a = across[x] + step * (here[x + 1] - here[x])
        d = down[x] + step * (below[x] - here[x])
        length, longest = np.sqrt(a * a + d * d), tension[x]
        too_long = length > longest
        factor, divisor = longest if too_long else one, length if too_long else one
        across[x], down[x] = a * factor / divisor, d * factor / divisor


@_by_rows
def _primal_step(
    across: np.ndarray, above: np.ndarray, down: np.ndarray, odds: np.ndarray, share: np.ndarray, ahead: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """Change a row's shares [W] by what flows through its pixels, and write where they are going to `ahead` [W + 1]."""
    step, none, one, two = np.float32(STEP), np.float32(0), np.float32(1), np.float32(2)
    for x in range(len(share)):
        flow = across[x + 1] + down[x] + odds[x] - across[x] - above[x]
        before = share[x]
        share[x] = min(max(before + step * flow, none), one)
        ahead[x] = two * share[x] - before
    ahead[-1] = ahead[-2]
