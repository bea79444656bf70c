"""Photographs of one object are a clip: each is a frame, in the natural order of their names."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import permutations
from pathlib import Path

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.alpha import Ground
from nerfsem_method.media.clip.clip import (
    LARGEST_PICTURE,
    SMALLEST_SIDE,
    Clip,
    ClipFrame,
    Findings,
    check_size,
    left_out_texts,
    text_of,
)
from nerfsem_method.media.clip.colour import high_dynamic_range, read_transfer
from nerfsem_method.media.clip.filters import Resizer
from nerfsem_method.media.clip.listing import Listing
from nerfsem_method.media.clip.picture import of_pages, read_focal_length, read_picture, read_size
from nerfsem_method.media.clip.whites import White, find_white
from nerfsem_method.media.naming import Naming
from nerfsem_method.media.pictures import quarter_turn

RATE = Fraction(5)
"""Photographs are shown at so many a second: slow enough to see each, and a turn of 60 takes 12 seconds."""
SAME_LENS = 1.02
"""Focal lengths within this ratio are one: EXIF data round them."""
LARGER = 3
"""Pictures that are more than so many times as large, along a side, as others make thumbnails of these."""


@dataclass(frozen=True)
class PhotographClip(Clip):
    """A clip of photographs has one size; `files` are all of them, before thinning, and `notes` say what is left out.

    The files have their own `sizes` (width, height), of one shape, upright or lying. Their EXIF data name the `focal_lengths`,
    where they do; there are none where some are those for 35 mm film and some are not.
    """

    files: tuple[Path, ...]
    sizes: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    focal_lengths: tuple[float | None, ...]

    @property
    def ordered(self) -> bool:
        """Return False: names may say nothing."""
        return False

    @property
    def zooms(self) -> dict[int, float]:
        """Return how many times the commonest focal length that of other lenses is, as their photographs' EXIF data say."""
        known = {number: length for number, length in enumerate(self.focal_lengths) if length is not None}
        usual = _usual(known)
        return {number: length / usual for number, length in known.items() if _other(length / usual)}

    @cached_property
    def sha256(self) -> str:  # type: ignore[override]
        """Return the SHA-256 of the photographs' names and contents in their order."""
        whole = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as stream:
                whole.update(f"{hashlib.file_digest(stream, 'sha256').hexdigest()} ".encode())
            whole.update(os.fsencode(path.name) + b"\n")
        return whole.hexdigest()

    @cached_property
    def _white(self) -> White:
        return find_white(self.files)

    def _frames(self, size: tuple[int, int], findings: Findings) -> Iterator[ClipFrame]:
        ground, resize = Ground(), Resizer(size)
        findings.total, findings.files = len(self.files), [text_of(path.name) for path in self.files]
        findings.turned = _across(self.sizes, (self.width, self.height))
        for number in range(0, len(self.files), self.every):
            path = self.files[number]
            try:
                picture = read_picture(path, white=self._white.number)
            except OSError as error:
                raise CaptureError(f"{path} cannot be read any more ({error})") from None
            if picture.damage:
                findings.damaged[number] = picture.damage
                continue
            width, height = self.sizes[number]
            if picture.rgb.shape[:2] != (height, width):
                raise CaptureError(f"{path} was {width}x{height} at first and no longer is; leave the files alone")
            rgb, alpha = picture.rgb, picture.alpha
            if alpha is not None:
                rgb = ground.under(rgb, alpha)
            if number in findings.turned:
                rgb, alpha = quarter_turn(rgb), None if alpha is None else quarter_turn(alpha)
            yield ClipFrame(number, float(number / RATE), resize(rgb), None if alpha is None else resize(alpha))
        damaged = {self.files[number].name: f"damaged, {reason}" for number, reason in findings.damaged.items()}
        findings.remarks += [*self.notes, *left_out_texts(damaged), *self._white.remarks]


def open_photographs(path: Path, listing: Listing, every: int) -> PhotographClip:
    """Return the clip of the photographs in a listing.

    The commonest size is the clip's, and pictures of another shape are left out, for all frames have one camera. Raises
    CaptureError where no shape is that of the most.
    """
    left_out = {**listing.left_out, **{video.name: "a video among photographs" for video in listing.videos}}
    sizes: dict[Path, tuple[int, int]] = {}
    high = []
    for photograph in listing.photographs:
        try:
            sizes[photograph] = read_size(photograph)
            high += [photograph] * bool(high_dynamic_range([read_transfer(photograph) or 0], [], ""))
        except OSError:
            left_out[photograph.name] = "not a picture that can be read; JPEG, PNG and 8-bit TIFF can"
    if 2 * len(high) > len(sizes):
        raise CaptureError(
            f"{len(high)} of the photographs of {path}, such as {high[0].name}, are of high dynamic range; export them anew in "
            "standard range (sRGB), as JPEG or PNG"
        )
    for photograph in high:
        left_out[photograph.name] = "high dynamic range, where the others are of standard range"
        del sizes[photograph]
    if not sizes:
        raise CaptureError(f"none of the {len(listing.photographs)} photographs of {path} can be read; save them as JPEG")
    for small, large in _copies(sizes).items():
        left_out[small.name] = f"a smaller copy of {large.name}"
        del sizes[small]
    counts = Counter(sizes.values())
    size = _usual_size(counts)
    if 2 * sum(number for other, number in counts.items() if _fits(other, size)) <= len(sizes) and len(counts) > 1:
        kinds = ", ".join(f"{number} of {w}x{h}" for (w, h), number in counts.most_common(3))
        raise CaptureError(f"the photographs of {path} are of different sizes ({kinds}); give those of one shape and size alone")
    check_size(*size, path)
    for photograph, other in sizes.items():
        if not _fits(other, size):
            left_out[photograph.name] = f"{other[0]}x{other[1]}, where the others are {size[0]}x{size[1]}"
    kept = {photograph: own for photograph, own in sizes.items() if _fits(own, size)}
    files = tuple(kept)
    said = [read_focal_length(photograph) for photograph in files]
    comparable = len({one[1] for one in said if one}) == 1
    lengths = tuple(one and one[0] for one in said) if comparable else ()
    notes = (*left_out_texts(left_out), *of_pages(files), *_of_sizes(kept, size), *_of_lenses(files, lengths))
    announced = -(-len(files) // every)
    return PhotographClip(path, every, *size, RATE / every, announced, files, tuple(kept.values()), notes, lengths)


def _of_one_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether one size (width, height) is the other one enlarged, but for a part of a pixel of the smaller one."""
    return abs(size[0] * other[1] - size[1] * other[0]) < max(*size, *other)


def _fits(size: tuple[int, int], usual: tuple[int, int]) -> bool:
    """Return whether pictures of a size can be shown at the usual one, upright or turned, and are no thumbnails of each other."""
    small, large = sorted((max(size), max(usual)))
    return large <= LARGER * small and size[0] * size[1] <= LARGEST_PICTURE and _alike(size, usual)


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two sizes are of one shape, upright or lying."""
    width, height = size
    return _of_one_shape(size, other) or _of_one_shape((height, width), other)


def _usual_size(counts: Counter[tuple[int, int]]) -> tuple[int, int]:
    """Return the commonest size of the shape, upright or lying, that most pictures have; of equally common ones the largest.

    Icons are of any shape, for a pixel is much of them.
    """
    large = [size for size in counts if min(size) >= SMALLEST_SIDE] or [*counts]
    of_shape = {size: sum(counts[other] for other in large if _alike(other, size)) for size in large}
    return max(large, key=lambda size: (of_shape[size], counts[size], size))


def _copies(sizes: dict[Path, tuple[int, int]]) -> dict[Path, Path]:
    """Return the photographs that are smaller copies of others, as their names say: IMG_1_web.jpg, or small/IMG_1.jpg."""
    pairs = ((small, large) for small, large in permutations(sizes, 2) if small.stem.startswith(large.stem))
    named = ((small, large) for small, large in pairs if small.stem[len(large.stem) :][:1] in ("", *" ._-("))
    alike = ((small, large) for small, large in named if _alike(sizes[small], sizes[large]))
    return {small: large for small, large in alike if max(sizes[small]) < max(sizes[large])}


def _across(sizes: Sequence[tuple[int, int]], usual: tuple[int, int]) -> list[int]:
    """Return which of some pictures of one shape lie where the usual one is upright, or the other way round."""
    return [number for number, size in enumerate(sizes) if not _of_one_shape(size, usual)]


def _of_sizes(sizes: dict[Path, tuple[int, int]], usual: tuple[int, int]) -> list[str]:
    """Return what is to be said where photographs lie among upright ones or have another size of the same shape."""
    naming, own = Naming(range(len(sizes)), [path.name for path in sizes]), [*sizes.values()]
    across = _across(own, usual)
    other = [number for number, size in enumerate(own) if max(size) != max(usual)]
    said = []
    if across:
        how = "lie where the others are upright" if usual[0] < usual[1] else "are upright where the others lie"
        said.append(
            f"{len(across)} of {len(own)} photographs ({naming.of(across)}) {how}: they are turned to the left by 90 degrees, "
            "also in the bundle"
        )
    if other:
        said.append(
            f"{len(other)} of {len(own)} photographs ({naming.of(other)}) have another size of the same shape: all are brought "
            f"to {usual[0]}x{usual[1]}"
        )
    return said


def _usual(known: dict[int, float]) -> float:
    """Return the commonest focal length."""
    return Counter(known.values()).most_common(1)[0][0] if known else 1.0


def _other(ratio: float) -> bool:
    """Return whether focal lengths in such a ratio are two."""
    return not 1 / SAME_LENS <= ratio <= SAME_LENS


def _of_lenses(files: tuple[Path, ...], lengths: tuple[float | None, ...]) -> list[str]:
    """Return what is to be said where photographs were taken with focal lengths that differ."""
    known = {index: length for index, length in enumerate(lengths) if length is not None}
    if not known or max(known.values()) <= SAME_LENS * min(known.values()):
        return []
    usual = _usual(known)
    naming = Naming(range(len(files)), [path.name for path in files])
    others = [index for index, length in known.items() if _other(length / usual)]
    return [
        f"{len(others)} of {len(files)} photographs were taken with another focal length than {usual:g} mm, from "
        f"{min(known.values()):g} to {max(known.values()):g} mm ({naming.of(others)}): a camera is "
        "sought for each lens, but not where the object alone is looked at"
    ]
