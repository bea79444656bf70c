"""This module turns a video into a scene folder, in stages that are cached, resumable and atomic."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from nerfsem_method.capture.assembly import REMARKS, Found, assemble
from nerfsem_method.capture.cameras import poses
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip import frames as frame_files
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.estimate import LEAST_FRAME_BYTES, announcement, frame_bytes
from nerfsem_method.capture.mattes import given as matte_files
from nerfsem_method.capture.mattes import vote
from nerfsem_method.capture.mattes.hints import ObjectBox
from nerfsem_method.capture.measured import load_measured
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report.gaps import check_gaps
from nerfsem_method.capture.stages import StageFolder
from nerfsem_method.errors import CaptureError
from nerfsem_method.files import hash_file, named, scratch
from nerfsem_method.media.clip.clip import Clip, Findings, folder_of
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.matte_faults import InvertedMattes
from nerfsem_method.media.pictures import keeping_pictures
from nerfsem_method.outputs import check_apart, check_space
from nerfsem_method.progress import part_of, progress_bar
from nerfsem_method.scene.scene import AGREED, Scene

CAPTURE_VERSION = 39
"""Every cache key contains this number: raise it when a stage's result changes."""
SFM_LONG_SIDE = 1280
"""Cameras are solved on the video's own pixels up to this size, whatever the scale: detail is accuracy."""
SFM_FRAMES_PERCENT = 15
"""Making frames of that size, where those to train on have another, counts as this part of the work on cameras, roughly."""


def ingest(video: Path, options: CaptureOptions, scene_dir: Path | None = None) -> Scene:
    """Capture `video`, any clip, into a scene folder (default: <stem>.nerfsem beside it) and return the scene.

    A folder that already holds this capture is returned at once; one that holds some of its stages is completed.
    Raises CaptureError for anything wrong with the video, the mattes, the cameras or the folder, OutputError when the disk is
    full, an input lies in the folder, or another process is at work there.
    """
    clip = open_clip(video, options.every)
    return Capture.of(clip, options, scene_dir).scene()


def cache_key(*parts: Any) -> str:
    """Return the cache key of a stage that depends on `parts` alone."""
    return hashlib.sha256(json.dumps([CAPTURE_VERSION, *parts], default=str).encode()).hexdigest()

TURN_OVER = (
    "what tells the object in {}, an alpha channel or masks, is white around something black: the object must be opaque, or "
    "white, and nothing else; turn it over, in pictures with an editor, in a film by: ffmpeg -i CLIP -vf "
    "format=yuva444p,lutyuv=a=negval -c:v png NEW.mov (where it is VP9 with -c:v libvpx-vp9 before -i, VP8 with -c:v libvpx)"
)
"""So a clip is refused that shows what is around the object. Its frames are of no use: what is transparent lost its colours."""


@dataclass(frozen=True)
class Capture:
    """A capture is one way from a video to its scene folder; the key of a stage depends only on what the stage reads."""

    clip: Clip
    options: CaptureOptions
    folder: StageFolder

    @classmethod
    def of(cls, clip: Clip, options: CaptureOptions, scene_dir: Path | None) -> Self:
        """Return the capture of a clip, kept in <stem>.nerfsem beside it by default. Raises OutputError over an input."""
        root = scene_dir or named(folder_of(clip.path), clip.stem, ".nerfsem")
        check_apart([root], [clip.path, options.mattes, options.segmenter_weights])
        return cls(clip, options, StageFolder(root))

    def scene(self) -> Scene:
        """Return the scene, with which the folder is filled where it does not hold it. Raises CaptureError for large gaps."""
        return check_gaps(self.ready() or self.run(), self.options.allow_gaps)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Return the frames' width and height."""
        shown, scale = (self.clip.width, self.clip.height), self.options.scale
        return frame_files.parse_scale(scale, shown) if scale else shown

    @cached_property
    def box(self) -> ObjectBox | None:
        """Return the box that the user pointed out."""
        text = self.options.object_box
        return ObjectBox.parse(text, self.clip.width, self.clip.height) if text else None

    @cached_property
    def frames_key(self) -> str:
        """Return the key of the frames."""
        return cache_key(self.clip.sha256, self.options.every, self.size)

    @cached_property
    def cameras_key(self) -> str:
        """Return the key of the cameras, which see the video at its own size whatever the scale."""
        mattes = self.first_mattes[1] if self.first_mattes and self.options.sfm_region == "object" else ""
        seen = (self.clip.sha256, self.options.every)
        return cache_key(*seen, importlib.metadata.version("pycolmap"), self.options.sfm_region, mattes)

    @property
    def given(self) -> Path | None:
        """Return the folder of ready-made mattes: the user's, or the clip's own alpha channel, known once there are frames."""
        if self.options.mattes:
            return self.options.mattes
        alpha = self.folder.root / "frames" / frame_files.ALPHA
        return alpha if alpha.is_dir() and self.folder.holds("frames", self.frames_key) else None

    @property
    def learned(self) -> bool:
        """Return whether a network draws the mattes, frame by frame; the cameras then let all frames judge each."""
        return not self.given and self.options.segmenter != "classical"

    @cached_property
    def first_mattes(self) -> tuple[str, str] | None:
        """Return stage and key of the mattes that come before the cameras, so that bad ones fail early.

        There are none for the classical segmenter, which needs the cameras.
        """
        if self.learned:
            return "drawn", self._segmenter_key("")
        return ("mattes", self.mattes_key) if self.given else None

    @cached_property
    def mattes_key(self) -> str:
        """Return the key of the mattes."""
        if self.given:
            files = matte_files.list_mattes(self.given)
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

    def ready(self) -> Scene | None:
        """Return the scene if the folder holds it already."""
        self._check_hints()
        root, folder = self.folder.root, self.folder
        if not folder.keys().get("scene") or not folder.holds("frames", self.frames_key):  # keys are made of all of the input
            return None
        done = folder.holds("scene", self.scene_key)
        return Scene.load(root) if done and (root / "scene.json").exists() else None

    def run(self) -> Scene:
        """Fill the folder with what it lacks, and return its scene."""
        if not self.folder.keys().get("frames") or not self.folder.holds("frames", self.frames_key):
            self._announce()
        with self.folder.claimed(), keeping_pictures():
            root = self.folder.root
            for outdated in (root / "scene.json", *root.glob("hull-*.npy")):
                outdated.unlink(missing_ok=True)
            shutil.rmtree(root / AGREED, ignore_errors=True)
            self.folder.fill("frames", self.frames_key, "frames", self._extract_frames)
            frames = sorted((root / "frames").glob("*.png"))
            self._check_hints()
            if self.box:
                self.box.located(self._findings.naming)
            if self.first_mattes:
                self.folder.fill(*self.first_mattes, "mattes", partial(self._segment, frames))
            self.folder.fill("cameras", self.cameras_key, "cameras (COLMAP)", self._solve_cameras)
            frames = [path for path, posed in zip(frames, self._solved.posed, strict=True) if posed]
            label, make = ("mattes of all views", self._set_right) if self.learned else ("mattes", self._segment)
            self.folder.fill("mattes", self.mattes_key, label, partial(make, frames))
            with progress_bar("scene") as advance:
                scene = assemble(self._found(frames), advance)
                scene.save()
            self.folder.remember("scene", self.scene_key)
            return scene

    def _announce(self) -> None:
        """Tell how much work a long clip is, and refuse a folder that surely has no room for the frames."""
        if self.options.mattes:
            matte_files.list_mattes(self.options.mattes)  # A wrong folder is told before minutes of work.
        line = announcement(self.clip.announced, self.size, self.options.every)
        if line:
            print(line, flush=True)
        needed = frame_bytes(self.clip.announced, self.size, LEAST_FRAME_BYTES)
        remedy = "name another folder, or take fewer or smaller ones (--every, --scale)"
        check_space(self.folder.root, needed, "the frames", remedy)

    def _check_hints(self) -> None:
        """Refuse what would change nothing: it is not overlooked."""
        if self.options.mattes and (self.options.segmenter != "classical" or self.options.segmenter_weights):
            raise CaptureError("--mattes and --segmenter (or its weights) exclude each other: leave one of them out")
        if not (self.options.keep_support or self.box):
            return
        if self.options.mattes or self.options.segmenter != "classical":
            remedy = "or take --segmenter classical without --mattes"
        elif self.given:
            remedy = "for this clip brings its mattes along, in its alpha channel or as masks"
        else:
            return
        raise CaptureError(f"--keep-support and --object-box are hints for the classical segmenter; leave them out, {remedy}")

    @property
    def _findings(self) -> Findings:
        """Return what reading the clip has brought to light."""
        return frame_files.read_findings(self.folder.root / "frames")

    @property
    def _solved(self) -> SparseModel:
        """Return what the stage "cameras" has found, of all frames."""
        turned = set(self._findings.turned)
        rows = [row for row, number in enumerate(self._findings.numbers) if number in turned]
        return replace(SparseModel.load(self.folder.root / "cameras"), turned=rows)

    def _mattes(self, stage: str, frames: list[Path]) -> np.ndarray:
        """Return a stage's mattes of `frames`, [N, h, w] uint8; a stage before the cameras has others, too."""
        return load_measured(self.folder.root / stage, [path.name for path in frames])

    def _extract_frames(self, target: Path, advance: Advance) -> None:
        """Make the stage "frames"."""
        frame_files.extract(self.clip, target, self.size, advance)

    def _segment(self, frames: list[Path], target: Path, advance: Advance) -> None:
        """Make the stage "mattes", or "drawn" if all views judge the mattes later."""
        if self.given:
            found = self._findings if self.options.mattes else None  # There is one of the alpha channel for each frame.
            try:
                remarks = matte_files.copy_mattes(self.given, target, self._findings.naming, self.size, advance, found)
            except InvertedMattes:
                if self.options.mattes:
                    raise
                raise CaptureError(TURN_OVER.format(self.clip.path)) from None
            if remarks:
                (target / REMARKS).write_text(json.dumps(remarks))
        elif self.options.segmenter == "classical":
            from nerfsem_method.capture.mattes.classical import segment

            model = self._model_of(frames)
            box = self.box and self.box.located(self._findings.naming).among(self._solved.posed)
            segment(frames, model, target, advance, keep_support=self.options.keep_support, box=box)
        else:
            from nerfsem_method.capture.mattes.learned import segment

            segment(frames, self.options.segmenter, self.options.segmenter_weights, target, advance)
        matte_files.check_coverage(load_measured(target, sorted(path.name for path in target.glob("*.png"))))

    def _model_of(self, frames: list[Path]) -> SparseModel:
        """Return cameras and points of `frames`, those with a pose, by which the classical segmenter finds the object."""
        return self._solved.of_posed_frames()

    def _set_right(self, frames: list[Path], target: Path, advance: Advance) -> None:
        """Make the stage "mattes" of those that a network drew."""
        vote.set_right(frames, self._mattes("drawn", frames), self._solved.of_posed_frames(), target, advance)

    def _solve_cameras(self, target: Path, advance: Advance) -> None:
        """Make the stage "cameras", on frames of the video's own size but for SFM_LONG_SIDE."""
        clip, region = self.clip, self.options.sfm_region
        shrink = min(1.0, SFM_LONG_SIDE / max(clip.width, clip.height))
        size = (round(clip.width * shrink), round(clip.height * shrink))
        root = self.folder.root
        ready = sorted((root / self.first_mattes[0]).glob("*.png")) if self.first_mattes else None
        numbers = frame_files.read_findings(root / "frames").numbers
        said = clip.zooms
        zooms = {frame: said[number] for frame, number in enumerate(numbers) if number in said}
        if size == self.size:
            poses.solve(sorted((root / "frames").glob("*.png")), ready, region, advance, clip.ordered, zooms).save(target)
            return
        with scratch("frames") as folder:
            needed = frame_bytes(clip.announced, size, LEAST_FRAME_BYTES)
            check_space(folder.parent, needed, "the frames that COLMAP sees", "set TMPDIR to another folder")
            frames = frame_files.extract(clip, folder, size, part_of(advance, 0, SFM_FRAMES_PERCENT))
            rest = part_of(advance, SFM_FRAMES_PERCENT, 100)
            poses.solve(frames, ready, region, rest, clip.ordered, zooms).save(target)

    def _found(self, frames: list[Path]) -> Found:
        """Return what all stages have found of `frames`, those with a pose."""
        mattes = self._mattes("mattes", frames)
        drawn = self._mattes("drawn", frames) if self.learned else mattes
        given, hinted = bool(self.given), bool(self.box) or self.options.keep_support
        cut_out = given and not self.options.mattes
        found = self.folder.root, self.clip, self.size, frames, self._solved
        return Found(*found, mattes, drawn, given, cut_out, hinted)
