"""This module holds what a user may choose about a capture; it imports nothing heavy, for the command line shows its fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class CaptureOptions:
    """These options say how a video becomes a scene folder; they are part of the folder's cache key."""

    mattes: Path | None = None
    """Folder of ready-made mattes, one image a frame in the order of their names, or called as the photographs are (white: the
    object)."""

    segmenter: Literal["classical", "rmbg", "birefnet"] = "classical"
    """Who cuts out the object when no mattes are given: classical needs no weights; rmbg (RMBG-2.0, gated,
    non-commercial) and birefnet (MIT) download theirs."""

    segmenter_weights: Path | None = None
    """Local folder with the segmenter's model, instead of the download."""

    scale: str | None = None
    """Frame size to work at, as W:H (for example 270:480); the video's own size if not given."""

    keep_support: bool = False
    """Keep what the object stands on (pillar, pedestal, table) in the classical segmenter's mattes."""

    object_box: str | None = None
    """A box around the object as x,y,w,h or x,y,w,h@frame, in pixels of the video (the first frame if none is given by its
    number, or a photograph by its name): a hint for the classical segmenter where the camera circles more than one thing."""

    sfm_region: Literal["auto", "object", "frame"] = "auto"
    """Where COLMAP looks for features: the whole frame, or the object alone, as on a turntable before a fixed camera.
    auto decides by whether the background stands still."""

    allow_gaps: bool = False
    """Go on although more than a tenth of the clip's frames have no camera and are left out."""

    every: int = 1
    """Take every N-th frame of the clip alone, from the first one on."""
