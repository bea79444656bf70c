"""What number is white in photographs of more than 8 bits is settled for all of them: one may merely show something dark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.media.clip.picture import read_numbers

WHITES = {"i": tuple(float((1 << bits) - 1) for bits in (8, 10, 12, 14, 16, 24, 31)), "f": (1.0, 255.0, 65535.0)}
"""Cameras for measuring give greys of so many bits, and their programs write them into files of 16 or more, or as fractions."""
USUAL_WHITES = (1.0, 65535.0)
"""Fractions of white, and whole numbers of all of a file's 16 bits, are as they should be."""
HOT, OVER = 1e-3, 1.02
"""So many of a grey picture's pixels may be hot, and the others a little brighter than white."""
COLOUR_WHITES = WHITES["i"][:4]
"""Colours of so many bits are written into files of 16."""
REACHED = 0.9
"""Colours of fewer bits than their files reach this share of white somewhere in the clip, and nowhere more than white: what is
merely dark ends anywhere."""


@dataclass(frozen=True)
class White:
    """This `number` is white in all pictures of a clip, None where each tells for itself; `remarks` are for the user."""

    number: float | None = None
    remarks: tuple[str, ...] = ()


def find_white(files: Iterable[Path]) -> White:
    """Return what is white in pictures, all grey or all coloured, of more than 8 bits; each tells for itself where one has 8.

    A picture that cannot be read says nothing.
    """
    brightest, kinds = 0.0, set()
    for path in files:
        try:
            numbers = read_numbers(path)
        except OSError:
            continue
        if numbers is None:
            return White()
        coloured = numbers.ndim == 3
        kinds.add("colour" if coloured else "f" if numbers.dtype.kind == "f" else "i")
        top = numbers[..., :3].max() if coloured else np.nanquantile(numbers, 1 - HOT)
        brightest = max(brightest, float(top))
        if "colour" in kinds and (len(kinds) > 1 or brightest > COLOUR_WHITES[-1]):
            return White()
    if not kinds:
        return White()
    return _of_colours(brightest) if "colour" in kinds else _of_greys(brightest, WHITES["f" if "f" in kinds else "i"])


def _of_greys(brightest: float, whites: tuple[float, ...]) -> White:
    number = next((white for white in whites if 0 < brightest <= OVER * white), None)
    if number in (None, *USUAL_WHITES):
        return White(number)
    greys = "the photographs are grey with numbers of more than 8 bits"
    return White(number, (f"{greys}, of which {number:.0f} is taken for white",))


def _of_colours(brightest: float) -> White:
    number = next((white for white in COLOUR_WHITES if REACHED * white <= brightest <= white), None)
    told = f"the colours of the photographs have 16 bits and end at {brightest:.0f}"
    if number is not None:
        return White(number, (f"{told}: {number:.0f} is taken for white",))
    remedy = "if white is less than that, multiply all by one number (magick mogrify -evaluate multiply 4)"
    return White(remarks=(f"{told} of 65535, which is dark: {remedy}",))
