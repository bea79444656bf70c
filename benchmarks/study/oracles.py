"""This program asks what a bundle's pictures lack: each frame is corrected as well as a source that is known allows.

    python -m benchmarks.study.oracles --scene work/scene --bundle relic.nsem

A correction of a few numbers a frame that gains much says what is wrong: a colour affine the colours, an image affine the
cameras. Where neither gains and detail is missing, it is bits. All are fitted over the object's pixels, and the figures are
PSNR-CENTER in dB, means over frames. Where outlines are in doubt, any motion that enlarges the object gains, since nothing counts
beyond them: so an image affine is also fitted to what is further inside, and measured there, where outlines do not count.
Detail is what a Gaussian of two pixels removes, well inside the outline.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from rich.progress import track
from scipy import ndimage

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.cli.main import run
from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.evaluation.metrics import masked_reference, psnr
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.scene.scene import Scene

PROGRAM = "benchmarks.study.oracles"
ROUNDS = 5
"""Gauss-Newton has converged after so many rounds; the best of them counts."""
SMOOTH = 1.0
"""Gradients are taken of a rendering that is so smooth, in pixels: those of single pixels mislead."""
DETAIL = 2.0
"""This Gaussian, in pixels, takes the detail away."""
OUTLINE = 3
"""An error is the outline's within so many pixels of it."""
WITHIN = 2
"""A rendered outline hardly reaches so many pixels into the object."""
BORDER = 8
"""The picture is cut so far around the object: no correction moves it further."""
COLUMNS = (
    "bundle", "bytes", "nothing", "gain", "colour affine", "image shift", "image affine", "both affine",
    f"image affine, {WITHIN} px inside the outline", f"error within {OUTLINE} px of the outline (area)", "energy of detail",
)  # fmt: skip


class Oracles(NamedTuple):
    """A frame's PSNR-CENTER in dB, as it is and after each correction; what an image affine gains inside the outline, in dB; and
    shares: of the squared error and of the area at the outline, and of the source's energy of detail."""

    nothing: float
    gain: float
    colour: float
    shift: float
    affine: float
    both: float
    within: float
    outline_error: float
    outline_area: float
    detail: float


@dataclass(frozen=True)
class OracleStudy:
    """Correct a bundle's frames by what the source knows, in one way after the other, and tell what each gains."""

    scene: Path
    """This is the captured scene that the bundle was made of; its agreed mattes count."""
    bundle: Path
    """This bundle is asked."""
    every: int = 5
    """Each frame of this number is looked at."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print the table and keep it. Raises NerfsemError where scene and bundle do not belong together."""
        scene, bundle = Scene.load(self.scene), nsem.read(self.bundle)
        size = scene.camera.width, scene.camera.height
        if (bundle.video.width, bundle.video.height, bundle.video.frames) != (*size, len(scene.frames)):
            raise NerfsemError(f"{self.bundle} was not made of {self.scene}; name the scene that it was trained on")
        player, found = Player(bundle, "cpu"), []
        for index in track(range(0, len(scene.frames), self.every), "Asking"):
            source = read_picture(scene.root / scene.frames[index].image)[..., ::-1]
            matte = read_picture(scene.matte_path(index), grey=True)
            if (matte > 127).any():
                found.append(oracles(player.composited(index, WHITE), masked_reference(source, matte), matte > 127))
        if not found:
            raise NerfsemError(f"no matte of {self.scene} shows an object; capture it again")
        folder = self.scene.resolve()
        clip = f"{(folder.parent if folder.name == 'scene' else folder).name} {size[0]}x{size[1]}, {self.bundle.name}"
        row = (clip, f"{self.bundle.stat().st_size:,}", *_cells(Oracles(*np.mean(found, 0))))
        keep(self.results, PROGRAM, Table(f"oracles of {clip}", COLUMNS, [row], "capture"))


def oracles(shown: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> Oracles:
    """Return what corrections gain on a frame uint8 [H, W, 3] against its source; `inside` [H, W] is the object."""
    cut = tuple(slice(max(axis.min() - BORDER, 0), axis.max() + BORDER + 1) for axis in inside.nonzero())
    inside, frame, source = inside[cut], shown[cut].astype(float), truth[cut].astype(float)
    target = source[inside]
    plain = ((frame - source) ** 2).mean(-1)
    shifted, moved = (_moved(frame, source, inside, degrees) for degrees in (1, 3))
    affine = _coloured(frame[inside], target)
    inner = _eroded(inside, WITHIN)
    within = psnr(((_moved(frame, source, inner, 3) - source) ** 2)[inner]) - psnr(plain[inner]) if inner.any() else 0.0
    edge, deep = inside & ~_eroded(inside, OUTLINE), _eroded(inside, int(2 * DETAIL))
    detail = [((it - ndimage.gaussian_filter(it, (DETAIL, DETAIL, 0)))[deep] ** 2).sum() for it in (frame, source)]
    nothing = psnr(plain[inside])

    def best(*colours: np.ndarray) -> float:
        return max(nothing, *(psnr((it - target) ** 2) for it in colours))

    return Oracles(
        nothing,
        best(frame[inside] * (frame[inside] * target).sum(0) / np.maximum((frame[inside] ** 2).sum(0), 1)),
        best(affine),
        best(shifted[inside]),
        best(shifted[inside], moved[inside]),
        best(affine, moved[inside], _coloured(moved[inside], target)),
        within,
        plain[edge].sum() / max(plain[inside].sum(), 1e-9),
        edge.sum() / inside.sum(),
        detail[0] / max(detail[1], 1e-9),
    )


def _eroded(inside: np.ndarray, pixels: int) -> np.ndarray:
    """Return what of the object is further from its outline; where the picture ends, the object does not."""
    return np.asarray(ndimage.binary_erosion(inside, iterations=pixels, border_value=1))


def _coloured(colours: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return colours [P, 3] after the affine map that brings them nearest to the target [P, 3]."""
    known = np.concatenate([colours, np.ones((len(colours), 1))], 1)
    return known @ np.linalg.lstsq(known, target, rcond=None)[0]


def _moved(frame: np.ndarray, source: np.ndarray, inside: np.ndarray, degrees: int) -> np.ndarray:
    """Return the frame [H, W, 3] after the motion that brings it nearest to the source inside the object.

    A motion in x and y has the first of (1, x, y) as its `degrees`: 1 is a shift, 3 an affine map.
    """
    height, width = inside.shape
    rows, columns = np.mgrid[:height, :width].astype(float)
    basis = np.stack([np.ones_like(rows), columns / width - 0.5, rows / width - height / width / 2], -1)[..., :degrees]
    slopes = np.gradient(ndimage.gaussian_filter(frame, (SMOOTH, SMOOTH, 0)), axis=(1, 0))
    motion, best = np.zeros((2, degrees)), (np.inf, frame)
    for _ in range(ROUNDS):
        at = [rows + basis @ motion[1], columns + basis @ motion[0]]
        now = _sampled(frame, at)
        error = float(((now - source)[inside] ** 2).mean())
        best = min(best, (error, now), key=lambda it: it[0])
        jacobian = np.concatenate([_sampled(slope, at)[inside][..., None] * basis[inside][:, None] for slope in slopes], -1)
        equations = jacobian.reshape(-1, 2 * degrees)
        normal = equations.T @ equations
        damping = 1e-9 * (np.trace(normal) + 1) * np.eye(2 * degrees)
        motion += np.linalg.solve(normal + damping, equations.T @ (source - now)[inside].reshape(-1)).reshape(2, degrees)
    return best[1]


def _sampled(picture: np.ndarray, at: list[np.ndarray]) -> np.ndarray:
    """Return a picture [H, W, 3] between its pixels, bilinear, at rows and columns [H, W]."""
    return np.stack([ndimage.map_coordinates(picture[..., c], at, order=1, mode="nearest") for c in range(3)], -1)


def _cells(mean: Oracles) -> Iterator[str]:
    """Yield a row's cells: the first figure in dB, then what each correction adds."""
    yield f"{mean.nothing:.2f}"
    yield from (f"{value - mean.nothing:+.2f}" for value in mean[1:6])
    yield f"{mean.within:+.2f}"
    yield f"{mean.outline_error:.0%} ({mean.outline_area:.0%})"
    yield f"{mean.detail:.0%}"


if __name__ == "__main__":
    sys.exit(run(tyro.cli(OracleStudy)))
