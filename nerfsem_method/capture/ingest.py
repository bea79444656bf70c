"""This module turns a video into a scene folder, in stages that are cached, resumable and atomic."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import tempfile
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.capture.cameras import normalise, poses
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip import frames as frame_files
from nerfsem_method.capture.clip.frames import Advance, VideoFacts
from nerfsem_method.capture.mattes import given as matte_files
from nerfsem_method.capture.mattes import vote
from nerfsem_method.capture.mattes.hints import ObjectBox
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report import figures as report
from nerfsem_method.capture.report.page import Cloud, write_page
from nerfsem_method.capture.stages import StageFolder, progress_bar
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.scene import Frame, Scene, Video

CAPTURE_VERSION = 6
"""Every cache key contains this number: raise it when a stage's result changes."""
SFM_LONG_SIDE = 1280
"""Cameras are solved on the video's own pixels up to this size, whatever the scale: detail is accuracy."""


def ingest(video: Path, options: CaptureOptions, scene_dir: Path | None = None) -> Scene:
    """Capture `video` into a scene folder (default: <stem>.nerfsem beside it) and return the scene.

    A folder that already holds this capture is returned at once; one that holds some of its stages is completed.
    Raises CaptureError for anything wrong with the video, the mattes, the cameras or the folder.
    """
    facts = frame_files.probe(video)
    capture = Capture(video, facts, options, StageFolder(scene_dir or video.with_name(f"{video.stem}.nerfsem")))
    return capture.run()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_key(*parts: Any) -> str:
    """Return the cache key of a stage that depends on `parts` alone."""
    return hashlib.sha256(json.dumps([CAPTURE_VERSION, *parts], default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Capture:
    """A capture is one way from a video to its scene folder; the key of a stage depends only on what the stage reads."""

    video: Path
    facts: VideoFacts
    options: CaptureOptions
    folder: StageFolder

    @cached_property
    def sha256(self) -> str:
        """Return the video's SHA-256."""
        return hash_file(self.video)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Return the frames' width and height."""
        scale = self.options.scale
        return frame_files.parse_scale(scale) if scale else (self.facts.width, self.facts.height)

    @cached_property
    def box(self) -> ObjectBox | None:
        """Return the box that the user pointed out."""
        text = self.options.object_box
        return ObjectBox.parse(text, self.facts.width, self.facts.height) if text else None

    @cached_property
    def frames_key(self) -> str:
        """Return the key of the frames."""
        return cache_key(self.sha256, self.size)

    @cached_property
    def cameras_key(self) -> str:
        """Return the key of the cameras, which see the video at its own size whatever the scale."""
        mattes = self.first_mattes[1] if self.first_mattes and self.options.sfm_region == "object" else ""
        return cache_key(self.sha256, importlib.metadata.version("pycolmap"), self.options.sfm_region, mattes)

    @property
    def learned(self) -> bool:
        """Return whether a network draws the mattes, frame by frame; the cameras then let all frames judge each."""
        return not self.options.mattes and self.options.segmenter != "classical"

    @cached_property
    def first_mattes(self) -> tuple[str, str] | None:
        """Return stage and key of the mattes that come before the cameras, so that bad ones fail early.

        There are none for the classical segmenter, which needs the cameras.
        """
        if self.learned:
            return "drawn", self._segmenter_key("")
        return ("mattes", self.mattes_key) if self.options.mattes else None

    @cached_property
    def mattes_key(self) -> str:
        """Return the key of the mattes."""
        if self.options.mattes:
            files = matte_files.list_mattes(self.options.mattes)
            return cache_key(self.frames_key, [(path.name, hash_file(path)) for path in files])
        return cache_key(self.first_mattes, self.cameras_key) if self.learned else self._segmenter_key(self.cameras_key)

    def _segmenter_key(self, cameras: str) -> str:
        """Return the key of mattes by a segmenter that sees these cameras; weights are known by size and time, not read."""
        weights = self.options.segmenter_weights
        files = sorted(weights.glob("*")) if weights else []
        stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        hints = [self.options.keep_support, self.options.object_box]
        return cache_key(self.frames_key, cameras, self.options.segmenter, stamps, hints)

    @cached_property
    def scene_key(self) -> str:
        """Return the key of the whole scene."""
        return cache_key(self.frames_key, self.cameras_key, self.mattes_key)

    def run(self) -> Scene:
        """Fill the folder with what it lacks, and return its scene."""
        root = self.folder.root
        self._check_hints()
        if self.folder.holds("scene", self.scene_key) and (root / "scene.json").exists():
            return Scene.load(root)
        self.folder.claim()
        (root / "scene.json").unlink(missing_ok=True)
        self.folder.fill("frames", self.frames_key, "frames", self._extract_frames)
        frames = sorted((root / "frames").glob("*.png"))
        if self.box and self.box.frame >= len(frames):
            raise CaptureError(f"--object-box names frame {self.box.frame}; the video's last one is {len(frames) - 1}")
        if self.first_mattes:
            self.folder.fill(*self.first_mattes, "mattes", partial(self._segment, frames))
        self.folder.fill("cameras", self.cameras_key, "cameras (COLMAP)", self._solve_cameras)
        label, make = ("mattes of all views", self._set_right) if self.learned else ("mattes", self._segment)
        self.folder.fill("mattes", self.mattes_key, label, partial(make, frames))
        with progress_bar("scene"):
            scene = self._assemble(frames)
            scene.save()
        self.folder.remember("scene", self.scene_key)
        return scene

    def _check_hints(self) -> None:
        """Refuse hints that would change nothing: they are not overlooked."""
        classical = not self.options.mattes and self.options.segmenter == "classical"
        if (self.options.keep_support or self.box) and not classical:
            raise CaptureError(
                "--keep-support and --object-box are hints for the classical segmenter; leave them out or take "
                "--segmenter classical without --mattes"
            )

    def _extract_frames(self, target: Path, advance: Advance) -> None:
        """Make the stage "frames"."""
        frame_files.extract(self.video, self.facts, target, self.size, advance)

    def _segment(self, frames: list[Path], target: Path, advance: Advance) -> None:
        """Make the stage "mattes", or "drawn" if all views judge the mattes later."""
        if self.options.mattes:
            matte_files.copy_mattes(self.options.mattes, target, len(frames), self.size, advance)
        elif self.options.segmenter == "classical":
            from nerfsem_method.capture.mattes.classical import segment

            model = SparseModel.load(self.folder.root / "cameras")
            segment(frames, model, target, advance, keep_support=self.options.keep_support, box=self.box)
        else:
            from nerfsem_method.capture.mattes.learned import segment

            segment(frames, self.options.segmenter, self.options.segmenter_weights, target, advance)
        matte_files.check_coverage(matte_files.load_mattes(target))

    def _set_right(self, frames: list[Path], target: Path, advance: Advance) -> None:
        """Make the stage "mattes" of those that a network drew."""
        root = self.folder.root
        vote.set_right(frames, matte_files.load_mattes(root / "drawn"), SparseModel.load(root / "cameras"), target, advance)

    def _solve_cameras(self, target: Path, advance: Advance) -> None:
        """Make the stage "cameras", on frames of the video's own size but for SFM_LONG_SIDE."""
        facts, region = self.facts, self.options.sfm_region
        shrink = min(1.0, SFM_LONG_SIDE / max(facts.width, facts.height))
        size = (round(facts.width * shrink), round(facts.height * shrink))
        root = self.folder.root
        ready = sorted((root / self.first_mattes[0]).glob("*.png")) if self.first_mattes else None
        if size == self.size:
            poses.solve(sorted((root / "frames").glob("*.png")), ready, region, advance).save(target)
            return
        with tempfile.TemporaryDirectory(prefix="nerfsem-frames-") as name:
            frames = frame_files.extract(self.video, facts, Path(name), size, lambda done, total: None)
            poses.solve(frames, ready, region, advance).save(target)

    def _assemble(self, frames: list[Path]) -> Scene:
        """Return the scene in units of the object's hull, and write points.ply, report.json and report.html."""
        root, model = self.folder.root, SparseModel.load(self.folder.root / "cameras")
        mattes = matte_files.load_mattes(root / "mattes")
        drawn = matte_files.load_mattes(root / "drawn") if self.learned else mattes
        seen = report.look_at_frames(frames, mattes, drawn)
        camera = model.camera.scaled(*self.size)
        on_object = model.points_on(mattes)
        units = normalise.unit_box(camera, model.poses, mattes, model.points[on_object])
        cloud = Cloud(units.points(model.points[on_object]), model.colours[on_object])
        _write_ply(root / "points.ply", cloud.points, cloud.colours)
        video = Video(self.video.name, *self.size, len(frames), self.facts.rate, self.sha256)
        source = np.where(model.registered, "registered", "interpolated").tolist()
        cameras = enumerate(zip(frames, units.poses(model.poses), source, strict=True))
        made = (Frame(i, pose, how, f"frames/{path.name}", f"mattes/{path.name}") for i, (path, pose, how) in cameras)
        scene = Scene(root, video, camera, tuple(made))
        summary = report.summarise(scene, model, len(cloud.points), seen, self.facts.announced)
        summary.save(root)
        write_page(scene, summary, cloud)
        return scene


def _write_ply(path: Path, points: np.ndarray, colours: np.ndarray) -> None:
    """Write a binary little-endian PLY file of points [P, 3] with colours [P, 3] uint8."""
    row = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])
    table = np.zeros(len(points), row)
    table["position"], table["colour"] = points, colours
    names = "".join(f"property float {axis}\n" for axis in "xyz")
    names += "".join(f"property uchar {channel}\n" for channel in ("red", "green", "blue"))
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{names}end_header\n"
    path.write_bytes(header.encode("ascii") + table.tobytes())
