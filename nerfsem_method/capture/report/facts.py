"""This module measures what pictures and mattes say of each frame; `figures` puts it into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.blur import edge_blur
from nerfsem_method.capture.clip.comb import comb
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.clip.legible import dim_share, noise
from nerfsem_method.capture.clip.motion import evenly
from nerfsem_method.capture.clip.tones import Tones
from nerfsem_method.capture.mattes import given as matte_files
from nerfsem_method.capture.report.outline import faint_share
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.scene.camera import Window, shown_part

LOOKS = 30
"""The outlines of so many mattes, evenly spread, are looked at, and so many frames for combs: their medians say the same, and a
long film has many."""
PIECE_SHARE = 0.15
"""From this share of the object on, a second piece of a matte is another object, not a stray blob."""


@dataclass(frozen=True)
class FrameFacts:
    """These facts are what pictures and mattes say of each frame; all are arrays [N], but `combs` [N, 2].

    `coverage` is the matte's share of the frame, `blur` the softness of the edges in pixels, `light` the object's mean
    brightness (NaN where there is none), `border` the matte's share of the frame's border, `pieces` the number of the matte's,
    `noise` the standard deviation of the frame's in grey levels, `dim` the share of the frame where there is little light,
    `tones` within how many grey levels it lies, `faint` along which share of the matte's outline the picture shows no edge (NaN
    without an outline, and where it was not looked at), `combs` what `clip.comb` says (NaN where it was not asked). Where
    `redrawn` the matte is not what the segmenter drew.
    """

    coverage: np.ndarray
    blur: np.ndarray
    light: np.ndarray
    border: np.ndarray
    pieces: np.ndarray
    noise: np.ndarray
    dim: np.ndarray
    tones: np.ndarray
    faint: np.ndarray
    combs: np.ndarray
    redrawn: np.ndarray


def look_at_frames(
    frames: list[Path],
    mattes: np.ndarray,
    drawn: np.ndarray,
    windows: Sequence[Window | None],
    advance: Advance,
    cut_out: bool = False,
) -> FrameFacts:
    """Measure all frames and their mattes [N, h, w] uint8, of any size, which were `drawn` [N, h, w] at first.

    The pictures fill these `windows` of the frames. Around an object that is `cut_out` nobody filmed anything, and no outline is
    looked at. `advance` hears how many frames are done. Raises CaptureError if most frames show no object.
    """
    import cv2

    rows, combs, chosen = [], np.full((len(frames), 2), np.nan), set(evenly(len(frames), LOOKS))
    for path, matte, window in zip(frames, mattes, windows, strict=True):
        grey, solid = read_picture(path, grey=True), matte > 127
        shown = cv2.resize(grey, solid.shape[::-1], interpolation=cv2.INTER_AREA) if grey.shape != solid.shape else grey
        filled = solid[shown_part(window, *solid.shape[::-1])]
        rims = np.concatenate([rim.ravel() for rim in (filled[:1], filled[-1:], filled[:, :1], filled[:, -1:])])
        border = rims.mean() if len(rims) else 0.0
        areas = cv2.connectedComponentsWithStats(solid.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
        pieces = int((areas > PIECE_SHARE * areas.sum()).sum()) if len(areas) else 0
        light = float(shown[solid].mean()) if solid.any() else np.nan
        tones = Tones.of([grey])
        faint = np.nan
        if (number := len(rows)) in chosen:
            faint = np.nan if cut_out else faint_share(read_picture(path), matte)
            combs[number] = comb(grey)
        rows.append((edge_blur(grey), light, border, pieces, noise(grey), dim_share(grey), tones.high - tones.low, faint))
        advance(len(rows), len(frames))
    blur, light, border, pieces, grain, dim, tones, faint = (np.array(column) for column in zip(*rows, strict=True))
    redrawn = (mattes != drawn).any((1, 2))
    return FrameFacts(matte_files.check_coverage(mattes), blur, light, border, pieces, grain, dim, tones, faint, combs, redrawn)
