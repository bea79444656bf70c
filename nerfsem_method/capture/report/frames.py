"""What is to be said about the frames of a capture and their mattes, in plain words."""

from __future__ import annotations

import numpy as np

from nerfsem_method.capture.clip.blur import rhythm
from nerfsem_method.capture.clip.comb import scaled_comb
from nerfsem_method.capture.clip.legible import DIM_SHARE, NOISY
from nerfsem_method.capture.clip.tones import FLAT
from nerfsem_method.capture.mattes import given as matte_files
from nerfsem_method.capture.report.facts import FrameFacts
from nerfsem_method.media.naming import Naming

CLOSER = 1.1
"""Of a frame with so many times the usual focal length it is expected that the object fills it."""
BORDER_SHARE = 0.005
"""The matte may touch this share of a frame's border before the object is said to leave the frame."""
MOST = 0.9
"""What leaves more of the frames than this may be what the object stands on, as a plinth of the same stone."""
WHOLE_FRAME = 0.97
"""A matte that covers more of its frame than this shows no outline of the object."""
INVERTED = 0.6
"""Mattes that hold this share of the median frame's border show what is around the object, as inverted ones do."""
FAINT = 0.12
"""Along so much of the outline in the median frame mattes are drawn by chance: right ones have up to .05 (of a film whose tones
jump .09), those of a black figure on black cloth .41, of polished silver .16, of a painting with lumps of its wall .27. Of given
ones those drawn by hand have .04, true ones 12 pixels aside .22, grown by 15 pixels .70, and rectangles .50."""
BLURRED, BLURRED_BESIDE = 1.7, 1.8
"""A clip is blurred throughout if its edges are softer than the first, in pixels; a frame is if they are softer than that and
than the second times the clip's median."""
EXPOSURE_RANGE = 1.6
"""The object's brightness may change by this factor along the clip, as light falls on its sides; beyond, the exposure did."""


def of_frames(facts: FrameFacts, naming: Naming, zooms: np.ndarray) -> list[str]:
    """Return what is to be said about frames and mattes; each frame has so many times the usual focal length [N]."""
    details, warnings = zooms > CLOSER, []

    def named(chosen: np.ndarray) -> str:
        return naming.of_rows(np.flatnonzero(chosen).tolist())

    if facts.redrawn.any():
        warnings.append(f"the matte disagreed with all other views in {named(facts.redrawn)} and was redrawn there")
    if (empty := facts.coverage < matte_files.MIN_COVERAGE).any():
        warnings.append(f"the mattes show no object in {named(empty)}")
    if (whole := (facts.coverage > WHOLE_FRAME) & ~details).any():
        warnings.append(f"the mattes take all of the frame for the object in {named(whole)}")
    if np.median(facts.border) > INVERTED:
        warnings.append("the mattes cover the frames' borders: if they show what is around the object, invert them")
    if (cut := (facts.border > BORDER_SHARE) & ~details).any():
        support = "; if the mattes go on below it, what it stands on was taken for a part of it: cut that off with --mattes DIR"
        warnings.append(
            f"the object leaves the frame in {named(cut)}: film from further away; what no frame shows is lost"
            f"{support if cut.mean() > MOST else ''}"
        )
    faint = facts.faint[np.isfinite(facts.faint)]
    if len(faint) and np.median(faint) > FAINT:
        warnings.append(
            f"along {np.median(faint):.0%} of the mattes' outline nothing tells the object from what is around it, as black on "
            "black, or where given mattes lie aside of it, or are rectangles: look at them in report.html; give better ones "
            "(--mattes DIR), or film the object before something of another colour"
        )
    if np.median(facts.pieces) > 1:
        warnings.append(f"the mattes show {int(np.median(facts.pieces))} separate pieces; a bundle is made for one object")
    if (period := rhythm(facts.blur)) is not None:
        warnings.append(
            f"sharp and soft frames take turns, every {period} frames anew, as where a frame rate was changed by blending: such "
            "frames show two places at once, and their cameras are wrong; give the video as it was filmed"
        )
    if scaled_comb(facts.combs):
        warnings.append(
            "the frames seem to be interlaced ones that were scaled, so that each shows two places at once and cameras are less "
            "exact: give the video as it was filmed, or have it deinterlaced before it is scaled"
        )
    middle = float(np.median(facts.blur))
    if middle > BLURRED:
        warnings.append(f"the whole clip is blurred (edges {middle:.1f} pixels soft): move slower, or give more light")
    elif (soft := facts.blur > max(BLURRED, BLURRED_BESIDE * middle)).any():
        warnings.append(f"{named(soft)} {'is' if soft.sum() == 1 else 'are'} blurred")
    if (grain := float(np.median(facts.noise))) > NOISY:
        warnings.append(
            f"the frames are full of noise ({grain:.0f} grey levels), so that cameras are less exact: give more light, or film "
            "with a lower ISO number"
        )
    if (gloom := float(np.median(facts.dim))) > DIM_SHARE:
        warnings.append(
            f"{gloom:.0%} of the median frame is nearly dark, where little can be recognised, so that cameras are less exact: "
            "give more light, or take a lens that does not darken the rims"
        )
    if (tones := float(np.median(facts.tones))) < FLAT:
        warnings.append(
            f"the frames are flat, within {tones:.0f} of 255 grey levels, as a log profile, little light, or pale things before "
            "a pale wall make them, so that little can be recognised: give the graded clip if there is one"
        )
    dark, bright = np.nanquantile(facts.light, (0.05, 0.95))
    if bright > EXPOSURE_RANGE * dark:
        warnings.append(
            f"the object's brightness changes by a factor of {bright / dark:.1f} along the clip: lock the exposure if you can"
        )
    return warnings
