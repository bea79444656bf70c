"""Ready-made mattes are read for what they are: soft mattes, labels of objects, transparency, in one of many kinds of files.

What a number means is settled for a folder as a whole, because one file alone may show no object, or nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.matte_faults import LOSSY_NOISE, check_kind, have_lines, hollow, line_width, turned, without_line
from nerfsem_method.media.matte_levels import FEW, Levels, as_numbers, count, tables
from nerfsem_method.media.matte_names import WANTED, list_mattes
from nerfsem_method.media.pictures import turn_to_largest

LOSSY = (".jpg", ".jpeg", ".webp", ".jp2", ".j2k", ".jpf", ".jpx")
"""Files with these endings are not exact: black and white carry noise, and grey carries colours."""
COLOURED, COLOURED_SHARE = 24, 0.002
"""A pixel whose channels differ by more than the first is coloured, a lossy picture with a larger share of such pixels is."""
CONSTANT = 5
"""An alpha channel whose values differ by no more than this carries nothing."""
VOID_COLOUR = 0xE0E0C0
"""Data sets mark by this colour pixels of which they do not know what they show."""
LOOK = 96
"""So many rows and columns of each matte tell whether it is inverted."""
SAMPLE = 16
"""So many mattes of a folder tell whether they are outlines."""


@dataclass(frozen=True)
class _Raw:
    """A file holds values [H, W] uint8 or uint16, or colours [H, W] as 0xRRGGBB, and perhaps alpha [H, W] uint8.

    Values and alpha of an exact file are bool where they are 0 and 1 alone: what 1 means there, the other files tell.
    """

    values: np.ndarray | None
    colours: np.ndarray | None
    alpha: np.ndarray | None

    def looked_at(self) -> _Raw:
        """Return some rows and columns, those along the border among them."""
        height, width = next(a for a in (self.values, self.colours) if a is not None).shape
        rows, columns = (np.linspace(0, n - 1, min(n, LOOK)).round().astype(int) for n in (height, width))
        seen = (None if a is None else a[rows][:, columns] for a in (self.values, self.colours, self.alpha))
        return _Raw(*seen)


@dataclass(frozen=True)
class GivenMattes:
    """These are the mattes of a folder, in the order of their frames, with `remarks` that their owner should read."""

    files: list[Path]
    remarks: list[str]
    meaning: Callable[[_Raw], np.ndarray]

    def read(self, index: int) -> np.ndarray:
        """Return one matte, uint8 [H, W]. Raises CaptureError when its file cannot be read."""
        path = self.files[index]
        matte = self.meaning(_read(path))
        if path.suffix.lower() in LOSSY:
            stretched = (matte.astype(np.float32) - LOSSY_NOISE) * (255 / (255 - 2 * LOSSY_NOISE))
            matte = stretched.round().clip(0, 255).astype(np.uint8)
        return matte


def given_mattes(folder: Path, advance: Callable[[int], None] = lambda done: None) -> GivenMattes:
    """Look at all mattes of a folder and settle what they mean; `advance` hears how many have been looked at.

    Raises CaptureError when there are none, one cannot be read, or they show several objects, are inverted or pictures.
    """
    files = list_mattes(folder)
    survey = _Survey()
    looks = []
    for done, path in enumerate(files, 1):
        raw = _read(path)
        survey.add(raw)
        looks.append(raw.looked_at())
        advance(done)
    meaning = survey.meaning(folder)
    seen = [meaning(look) for look in looks]
    remarks = []
    if any(map(line_width, seen)) and have_lines(meaning(_read(path)) for path in files):
        meaning, seen = _lineless(meaning), [without_line(look) for look in seen]
        remarks = ["the mattes have a white line around the frame, which is taken for black"]
    remarks += hollow(meaning(_read(path)) for path in files[:: -(-len(files) // SAMPLE)])
    if not survey.are_edges:
        check_kind(folder, seen, (meaning(_read(path)) for path in files))
    return GivenMattes(files, [*remarks, *turned(folder, seen)], meaning)


def _lineless(meaning: Callable[[_Raw], np.ndarray]) -> Callable[[_Raw], np.ndarray]:
    return lambda raw: without_line(meaning(raw))


@dataclass
class _Survey:
    """A survey counts the values of all files, by their type, and notes colours and whether an alpha channel varies."""

    values: dict[type, Levels] = field(default_factory=dict)
    alphas: dict[type, Levels] = field(default_factory=dict)
    colours: dict[int, int] = field(default_factory=dict)
    alpha_varies: bool = False

    def add(self, raw: _Raw) -> None:
        """Count what one file holds."""
        if raw.values is not None:
            count(self.values, raw.values)
        if raw.colours is not None and len(self.colours) <= FEW:
            for colour, pixels in zip(*np.unique(raw.colours, return_counts=True), strict=True):
                self.colours[int(colour)] = self.colours.get(int(colour), 0) + int(pixels)
        if raw.alpha is not None:
            count(self.alphas, raw.alpha)
            low, high = int(raw.alpha.min()), int(raw.alpha.max())
            self.alpha_varies |= high - low > CONSTANT or low == 0 < high

    @property
    def are_edges(self) -> bool:
        """Return whether whatever is neither black nor white lies on edges, of few values."""
        return not self.colours and all(it.are_edges for it in (self.alphas if self.alpha_varies else self.values).values())

    def meaning(self, folder: Path) -> Callable[[_Raw], np.ndarray]:
        """Return what makes a matte [H, W] uint8 of a file. Raises CaptureError when that is no matte of one object."""
        of_values = tables(self.values, folder)
        of_alpha = tables(self.alphas, folder) if self.alpha_varies else {}
        if self.colours and len(self.colours) <= FEW and not self.alpha_varies:
            chosen = _one_colour(self.colours, folder)
            of_colours = lambda colours: np.where(colours == chosen, 255, 0).astype(np.uint8)  # noqa: E731
        else:
            of_colours = _brightest

        def matte(raw: _Raw) -> np.ndarray:
            if of_alpha and raw.alpha is not None:
                return of_alpha[raw.alpha.dtype.type][as_numbers(raw.alpha)]
            if raw.values is not None:
                return of_values[raw.values.dtype.type][as_numbers(raw.values)]
            assert raw.colours is not None
            return of_colours(raw.colours)

        return matte


def _one_colour(counts: dict[int, int], folder: Path) -> int:
    """Return the colour of the object. Raises CaptureError when there are several besides the ground's."""
    ground = 0 if 0 in counts else max(counts, key=lambda colour: counts[colour])
    labels = sorted(set(counts) - {ground, VOID_COLOUR})
    if len(labels) != 1:
        told = ", ".join(f"#{label:06x}" for label in labels)
        raise CaptureError(f"the mattes in {folder} label {len(labels)} objects by colour: {told}; keep one, black elsewhere")
    return labels[0]


def _brightest(colours: np.ndarray) -> np.ndarray:
    """Return the brightest channel: pure red on black is as good a matte as white."""
    return np.maximum.reduce([colours >> 16, colours >> 8 & 255, colours & 255]).astype(np.uint8)


def _read(path: Path) -> _Raw:
    """Return what a file holds. Raises CaptureError when it is no image."""
    from PIL import Image, ImageOps

    lossy = path.suffix.lower() in LOSSY
    try:
        with Image.open(path) as picture:
            turn_to_largest(picture)
            raw = _of_picture(ImageOps.exif_transpose(picture), lossy)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # Pillow knows no EXR and no coloured float TIFF
        raw = _by_opencv(path)
    return raw if lossy else _Raw(_ones_as_bool(raw.values), raw.colours, _ones_as_bool(raw.alpha))


def _ones_as_bool(values: np.ndarray | None) -> np.ndarray | None:
    return values.astype(bool) if values is not None and values.max() == 1 else values


def _of_picture(picture, lossy: bool) -> _Raw:
    """Return what a Pillow picture holds."""
    mode = picture.mode
    if mode == "1":  # one bit is black or white, and no label
        return _Raw(np.asarray(picture).astype(np.uint8) * 255, None, None)
    if mode.startswith(("L", "I", "F")) and len(picture.getbands()) == 1:
        return _Raw(_whole_numbers(np.asarray(picture)), None, None)
    transparent = mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info
    rgb = np.asarray(picture.convert("RGBA" if transparent else "RGB"))
    alpha = rgb[..., 3].copy() if transparent else None
    if mode == "P" and alpha is None and (rgb == rgb[:1, :1]).all():  # a palette of one colour: only its indices can tell
        return _Raw(np.asarray(picture), None, None)
    return _of_channels(rgb[..., :3], alpha, lossy)


def _of_channels(rgb: np.ndarray, alpha: np.ndarray | None, lossy: bool) -> _Raw:
    """Return red, green and blue [H, W, 3] uint8 as values where they are grey, as colours elsewhere."""
    spread = rgb.max(-1).astype(int) - rgb.min(-1) > COLOURED
    if spread.mean() > (COLOURED_SHARE if lossy else 0):
        return _Raw(None, rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32), alpha)
    return _Raw(rgb[..., 1].copy(), None, alpha)


def _by_opencv(path: Path) -> _Raw:
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    import cv2

    try:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    if picture is None:
        raise CaptureError(f"{path} cannot be read as an image; give the mattes {WANTED}")
    if picture.ndim == 2:
        return _Raw(_whole_numbers(picture), None, None)
    eight = (_whole_numbers(picture) // 257).astype(np.uint8) if picture.dtype != np.uint8 else picture
    return _of_channels(eight[..., 2::-1], eight[..., 3] if eight.shape[2] == 4 else None, lossy=False)


def _whole_numbers(values: np.ndarray) -> np.ndarray:
    """Return values of any type as uint8 or uint16; where real numbers do not exceed 1, that is the type's largest value."""
    if values.dtype == bool or values.dtype == np.uint8:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=65535.0, neginf=0.0)
        values = values * 65535.0 if values.max() <= 1 else values
    return np.rint(values * (65535 / max(float(values.max()), 65535.0))).clip(0, 65535).astype(np.uint16)
