"""The formulas that lead into and out of the heads, each written once for torch, NumPy and compiled loops.

The decoder evaluates them, too (FORMAT.md, section 8), so they are part of what a field is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nerfsem_method.compiled import njit

DENSITY_SHIFT = 3.0
"""A new density head gives about 0, and the field starts with a density of e^3 a unit of length."""
DENSITY_LIMIT = 15.0
"""The logarithm of a density does not pass this, so that no product of densities overflows."""


@njit(inline="always")
def density_of(raw):
    """Return the density a unit of length, exp(min(raw + DENSITY_SHIFT, DENSITY_LIMIT)), of a head's first output."""
    return np.exp(min(raw + np.float32(DENSITY_SHIFT), np.float32(DENSITY_LIMIT)))


def _constant(x: Any, y: Any, z: Any) -> tuple[Any, ...]:
    return (1 + 0 * x,)


def _linear(x: Any, y: Any, z: Any) -> tuple[Any, ...]:
    return y, z, x


def _quadratic(x: Any, y: Any, z: Any) -> tuple[Any, ...]:
    return x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y


def _cubic(x: Any, y: Any, z: Any) -> tuple[Any, ...]:
    return (
        y * (3 * x * x - y * y), x * y * z, y * (5 * z * z - 1), z * (5 * z * z - 3), x * (5 * z * z - 1),
        z * (x * x - y * y), x * (x * x - 3 * y * y),
    )  # fmt: skip


HARMONICS = (_constant, _linear, _quadratic, _cubic)
"""The bands of real spherical harmonics of a unit direction (x, y, z), element by element; band d has 2 d + 1 values.

They are polynomials without the usual constants, which the first layer of the colour head carries."""
_compiled_linear, _compiled_quadratic, _compiled_cubic = (njit(inline="always")(band) for band in HARMONICS[1:])


@njit(cache=True)
def write_harmonics(x, y, z, degrees, lane, lanes, out):
    """Write the bands 0 ... degrees - 1 of a direction into one lane of out [degrees ** 2, lanes] flat."""
    out[lane] = 1
    if degrees > 1:
        out[lanes + lane], out[2 * lanes + lane], out[3 * lanes + lane] = _compiled_linear(x, y, z)
    if degrees > 2:
        a, b, c, d, e = _compiled_quadratic(x, y, z)
        out[4 * lanes + lane], out[5 * lanes + lane], out[6 * lanes + lane] = a, b, c
        out[7 * lanes + lane], out[8 * lanes + lane] = d, e
    if degrees > 3:
        a, b, c, d, e, f, g = _compiled_cubic(x, y, z)
        out[9 * lanes + lane], out[10 * lanes + lane], out[11 * lanes + lane] = a, b, c
        out[12 * lanes + lane], out[13 * lanes + lane], out[14 * lanes + lane] = d, e, f
        out[15 * lanes + lane] = g
