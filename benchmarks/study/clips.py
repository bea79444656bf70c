"""This program captures a stranger's clips and tells what capture says to each; it must never crash.

    python -m benchmarks.study.clips --source ../shared/data/vase --output-dir clips

The clips are made with ffmpeg from relic.mp4 and masks/, some are drawn, and each is captured in a process of its own. Clips and
captures that exist are used again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import tyro

from benchmarks.record import RESULTS, Table, keep
from nerfsem_method.capture.mattes.given import list_mattes
from nerfsem_method.cli.main import run
from nerfsem_method.errors import NerfsemError
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.video import write_video

PROGRAM = "benchmarks.study.clips"
COLUMNS = ("clip", "exit code", "seconds", "registered", "verdict")
SIZE = (270, 480)
THIN = "select='not(mod(n,2))',setpts=N/15/TB,scale=270:480:flags=area"
"""This filter leaves 60 frames of the clip, 6 degrees apart."""


@dataclass(frozen=True)
class Clips:
    """Capture a set of bad and awkward clips and tell what came of each."""

    source: Path = Path("../shared/data/vase")
    """This folder holds relic.mp4 and masks/."""
    output_dir: Path = Path("clips")
    """Clips and scene folders lie here."""
    only: tuple[str, ...] = ()
    """The clips of these names are taken instead of all."""
    results: Path = RESULTS
    """The record is kept in this folder."""

    def run(self) -> None:
        """Print a row for each clip and keep it. Raises NerfsemError for an unknown name."""
        makers = clips(self.source)
        unknown = set(self.only) - makers.keys()
        if unknown:
            raise NerfsemError(f"no clip is called {', '.join(sorted(unknown))}; there are {', '.join(makers)}")
        self.output_dir.mkdir(parents=True, exist_ok=True)
        for name in self.only or makers:
            path = self.output_dir / f"{name}.mp4"
            if not path.exists():
                makers[name](path)
            keep(self.results, PROGRAM, Table(name, COLUMNS, [_row(name, path, self.output_dir / name)], "clips"))


def _row(name: str, clip: Path, scene: Path) -> tuple[str, ...]:
    """Capture one clip in a process of its own."""
    started = time.monotonic()
    command = [sys.executable, "-m", "nerfsem_method.cli.main", "capture", str(clip), str(scene)]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode:
        words, registered = (done.stderr.strip().splitlines() or ["no reason given"])[-1], ""
    else:
        report = json.loads((scene / "report.json").read_text())
        words = "; ".join(report["warnings"]) or "nothing to complain about"
        registered = f"{report['frames'] - len(report['interpolated'])} of {report['frames']}"
    return name, str(done.returncode), f"{seconds:.0f}", registered, words.replace(str(clip), clip.name)


def clips(source: Path) -> dict[str, Callable[[Path], object]]:
    """Return what makes each clip, by its name."""

    def thin(filters: str, *options: str) -> Callable[[Path], None]:
        return lambda path: filtered(source / "relic.mp4", filters, path, *options)

    def drawn(count: int, boxes: list[Box], hall: Box | None, rate: int = 15) -> Callable[[Path], int]:
        return lambda path: write_video(path, draw(orbit(count), boxes, hall), Fraction(rate))

    still = "trim=end_frame=1,loop=29:1,scale=270:480,noise=alls=4:allf=t"
    return {
        "still-camera": thin(still, "-frames:v", "30"),
        "no-texture": drawn(48, [Box((0, 0, 0), 0.5, plain=True)], None),
        "arc-of-15-degrees": thin("trim=end_frame=6,scale=270:480:flags=area,minterpolate=fps=90:mi_mode=mci"),
        "motion-blur": thin(f"{THIN},avgblur=sizeX=7:sizeY=1"),
        "two-objects": drawn(60, PAIR, HALL),
        "rotated-by-metadata": lambda path: rotated(source / "relic.mp4", path),
        "variable-rate": thin(f"{THIN},setpts='(N+0.15*mod(7*N,5))/15/TB'", "-fps_mode", "vfr"),
        "odd-size": thin(THIN.replace("270:480", "269:479"), "-pix_fmt", "yuv444p"),
        "damaged-end": lambda path: damaged(source / "relic.mp4", path),
        "audio-only": lambda path: ffmpeg("-f", "lavfi", "-i", "sine=duration=3", "-c:a", "aac", str(path)),
        "long-60-fps": drawn(400, PAIR[:1], HALL, rate=60),
        "rolling-exposure": thin(f"{THIN},eq=gamma='1+0.45*sin(n/5)':eval=frame"),
        "turntable": lambda path: write_video(path, turntable(source), Fraction(30)),
    }


# Made with ffmpeg -----------------------------------------------------------------------------------------------------


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True)


def filtered(video: Path, filters: str, path: Path, *options: str) -> None:
    """Write `video` through ffmpeg's `filters`, with output options."""
    ffmpeg("-i", str(video), "-vf", filters, "-an", "-crf", "16", *options, "-movflags", "+faststart", str(path))


def rotated(video: Path, path: Path) -> None:
    """Write the clip lying on its side, as phones do, with a note for the player."""
    lying = path.with_suffix(".lying.mp4")
    filtered(video, f"{THIN},transpose=1", lying)
    ffmpeg("-display_rotation", "90", "-i", str(lying), "-c", "copy", str(path))
    lying.unlink()


def damaged(video: Path, path: Path) -> None:
    """Write the clip without the last quarter of its file."""
    filtered(video, THIN, path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])


def turntable(source: Path, size: tuple[int, int] = (540, 960)) -> Iterator[np.ndarray]:
    """Yield the vase of every frame before the surroundings of the first, the vase painted over; RGB uint8 [H, W, 3]."""
    import cv2

    masks = [cv2.resize(cv2.imread(str(path), 0), size, interpolation=cv2.INTER_AREA) for path in list_mattes(source / "masks")]
    rng, still = np.random.default_rng(0), None
    for frame, mask in zip(open_clip(source / "relic.mp4").frames(size), masks, strict=True):
        if still is None:
            hole = cv2.dilate(mask, np.ones((9, 9), np.uint8))
            still = cv2.inpaint(frame.rgb, (hole > 0).astype(np.uint8), 5, cv2.INPAINT_TELEA)
        share = mask[..., None] / 255.0
        noise = rng.normal(0, 1.5, still.shape)
        yield np.round(share * frame.rgb + (1 - share) * (still + noise)).clip(0, 255).astype(np.uint8)


# Drawn ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """A box is a cube around `centre` with edges of `edge`, its six faces turned in (a hall) or out."""

    centre: tuple[float, float, float]
    edge: float
    inward: bool = False
    plain: bool = False


PAIR = [Box((-0.3, 0.0, 0.0), 0.34), Box((0.3, 0.1, 0.0), 0.34)]
HALL = Box((0.0, 0.0, 2.2), 5.2, inward=True)
FOCAL = 420.0


def orbit(count: int) -> list[np.ndarray]:
    """Return the cam_from_world [3, 4] of a turn at radius 2 that bobs a little; z is up."""
    poses = []
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        centre = np.array([2 * np.cos(angle), 2 * np.sin(angle), 0.7 + 0.1 * np.sin(3 * angle)])
        ahead = -centre / np.linalg.norm(centre)
        right = np.cross(ahead, (0, 0, 1)) / np.linalg.norm(np.cross(ahead, (0, 0, 1)))
        rotation = np.stack([right, np.cross(ahead, right), ahead])
        poses.append(np.column_stack([rotation, -rotation @ centre]))
    return poses


def draw(poses: list[np.ndarray], boxes: list[Box], hall: Box | None) -> Iterator[np.ndarray]:
    """Yield RGB frames [H, W, 3] uint8 of textured boxes, the far faces drawn first."""
    import cv2

    width, height = SIZE
    faces = [face for number, box in enumerate(filter(None, [hall, *boxes])) for face in _faces(box, number)]
    for pose in poses:
        picture = np.full((height, width, 3), 170, np.uint8)
        eye = -pose[:, :3].T @ pose[:, 3]
        # A hall is behind all else, whatever the distance of its faces' middles.
        order = sorted(faces, key=lambda face: (not face[3], -np.linalg.norm(face[0].mean(0) - eye)))
        for corners, normal, texture, _ in order:
            if (eye - corners[0]) @ normal <= 0:
                continue
            homography = _homography(pose, corners, texture.shape[0])
            if homography is None:
                continue
            cover = cv2.warpPerspective(np.ones(texture.shape[:2], np.float32), homography, SIZE, flags=cv2.INTER_LINEAR)
            shown = cv2.warpPerspective(texture, homography, SIZE, flags=cv2.INTER_AREA)
            picture = np.where(cover[..., None] > 0.5, shown, picture)
        yield picture


def _faces(box: Box, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, bool]]:
    """Yield corners [4, 3], normal [3], texture and whether it is a wall, of each face."""
    import cv2

    rng = np.random.default_rng(seed)
    for axis in range(3):
        for side in (-1, 1):
            across, up = (np.roll(np.eye(3)[axis], shift) for shift in (1, 2))
            outward = side * np.eye(3)[axis]
            signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
            corners = np.array(box.centre) + box.edge / 2 * np.array([outward + a * across + b * up for a, b in signs])
            texture = np.full((512, 512, 3), 120 + 25 * axis + 10 * side, np.uint8)
            for cells in () if box.plain else (8, 24, 64):
                patches = rng.integers(-60, 60, (cells, cells, 3)).astype(np.float32)
                texture = np.clip(texture + cv2.resize(patches, (512, 512), interpolation=cv2.INTER_CUBIC), 0, 255)
            yield corners, -outward if box.inward else outward, texture.astype(np.uint8), box.inward


def _homography(pose: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray | None:
    """Return the homography from a face's texture to the frame; None where all of the face is behind the camera."""
    edge_a, edge_b = (corners[1] - corners[0]) / side, (corners[3] - corners[0]) / side
    camera = np.array([[FOCAL, 0, SIZE[0] / 2], [0, FOCAL, SIZE[1] / 2], [0, 0, 1]])
    plane = np.stack([edge_a, edge_b, corners[0]], 1)
    matrix = camera @ (pose[:, :3] @ plane + np.outer(pose[:, 3], (0, 0, 1)))
    depths = matrix[2] @ np.array([[0, side, side, 0], [0, 0, side, side], [1, 1, 1, 1]])
    return matrix if (depths > 0).any() else None


if __name__ == "__main__":
    sys.exit(run(tyro.cli(Clips)))
