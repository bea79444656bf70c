"""What the stages of a capture have found becomes a scene in units of its object, and a report."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras import normalise
from nerfsem_method.capture.cameras.sparse import MOST_APART, SparseModel
from nerfsem_method.capture.cameras.strays import moved
from nerfsem_method.capture.clip import frames as frame_files
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.clip.parts import of_bars, of_mirrors
from nerfsem_method.capture.mattes import given as matte_files
from nerfsem_method.capture.mattes import silhouettes
from nerfsem_method.capture.mattes.cluster import way_up
from nerfsem_method.capture.mattes.moving import missed_share
from nerfsem_method.capture.report import figures as report
from nerfsem_method.capture.report.cameras import of_fisheye
from nerfsem_method.capture.report.facts import look_at_frames
from nerfsem_method.capture.report.page import Cloud, write_page
from nerfsem_method.capture.report.ply import write_ply
from nerfsem_method.log import LOG
from nerfsem_method.media.clip.clip import Clip
from nerfsem_method.media.naming import Naming
from nerfsem_method.scene.camera import windows_of
from nerfsem_method.scene.scene import Frame, Scene, Video

REMARKS = "remarks.json"
"""What is to be said about given mattes is kept beside them."""

MISSED = 0.3
"""Mattes that never show such a share of where things move show something else: those of a vase on a turntable miss .0003, of a
vessel in a gloved hand, where the glove was followed, .57."""


@dataclass(frozen=True)
class Found:
    """This is what the stages in a scene folder have found.

    Attributes:
        root: the scene folder.
        clip: what was captured.
        size: width and height of the frames.
        frames: the files of the N frames with a pose.
        solved: cameras and points of all frames.
        mattes: [N, h, w] uint8, those of the scene.
        drawn: [N, h, w] uint8, as a network drew them, where all views judged these; the same mattes elsewhere.
        given: whether the mattes were given.
        cut_out: whether the clip brought them along, as an alpha channel or masks.
        hinted: whether the user has pointed at the object, or keeps what it stands on.
    """

    root: Path
    clip: Clip
    size: tuple[int, int]
    frames: list[Path]
    solved: SparseModel
    mattes: np.ndarray
    drawn: np.ndarray
    given: bool
    cut_out: bool
    hinted: bool


def assemble(found: Found, advance: Advance) -> Scene:
    """Return the scene in units of the object's hull, and write points.ply, report.json and report.html."""
    root, clip, frames, mattes = found.root, found.clip, found.frames, found.mattes
    posed, model = found.solved.posed, found.solved.of_posed_frames()
    findings = frame_files.read_findings(root / "frames")
    unposed = [number for number, has in zip(findings.numbers, posed, strict=True) if not has]
    naming, named = findings.naming, findings.naming.without(unposed)
    windows = [clip.window(number) for number in named.numbers]
    seen = look_at_frames(frames, mattes, found.drawn, windows, advance, found.cut_out)
    camera = model.camera.scaled(*found.size)
    on_object = model.points_on(mattes)
    small = replace(model.cameras.scaled(*mattes.shape[:0:-1]), windows=windows_of(windows))
    units = normalise.unit_box(small, mattes, model.points[on_object], turn=way_up(model))
    cloud = Cloud(units.points(model.points[on_object]), model.colours[on_object])
    write_ply(root / "points.ply", cloud.points, cloud.colours)
    left_out = tuple(sorted({*unposed, *findings.damaged}))
    video = Video(clip.name, *found.size, len(frames), clip.rate, clip.sha256, left_out)
    source = np.where(model.registered, "registered", "interpolated").tolist()
    of_each = enumerate(zip(frames, units.poses(model.poses), source, model.cameras.factors.tolist(), windows, strict=True))
    scene = Scene(root, video, camera, tuple(
        Frame(index, pose, how, f"frames/{path.name}", f"mattes/{path.name}", zoom, window)
        for index, (path, pose, how, zoom, window) in of_each
    ))  # fmt: skip
    remarks = [*findings.remarks, *(_of_given(root, mattes, model, named) if found.given else [])]
    remarks += _of_moves(model, on_object, named)
    remarks += of_fisheye(model, clip.width, clip.height, named)
    if model.region == "object" and not (found.given or found.hinted or model.contradicted):
        remarks += _of_missed(missed_share(frames, mattes))
    everything = sorted((root / "frames").glob("*.png"))
    bars = of_bars(everything, naming)
    apart = not naming.files and bool(unposed) and model.apart > MOST_APART
    mirrors = of_mirrors(everything, posed, findings.numbers) if apart else ""
    summary = report.summarise(scene, model, len(cloud.points), seen, naming, remarks, unposed, bars, mirrors)
    for warning in summary.warnings:
        LOG.info("warning: %s", warning)
    summary.save(root)
    write_page(scene, summary, cloud)
    return scene


def _of_moves(model: SparseModel, on_object: np.ndarray, naming: Naming) -> list[str]:
    """Return what is to be said where somebody moves the object meanwhile; `on_object` [P] bool are its points.

    Photographs in another order than that of their names tell nothing of it, and where the cameras may be wrong, it is not known.
    """
    known = {frame: model.poses[frame] for frame in np.flatnonzero(model.registered).tolist()}
    frames = moved(known, model.views, on_object) if not model.contradicted else []
    return [
        f"from {naming.of_rows([first])} on the object lies otherwise than before, while its surroundings go on: cameras are "
        "those of the surroundings, and a bundle would show the object in both ways at once; film it without touching it, or "
        "give one part alone"
        for first in frames[:1]
    ]


def _of_missed(share: float) -> list[str]:
    """Return what is to be said where mattes never show such a share of where things move before a still background."""
    words = (
        f"the mattes never show {share:.0%} of where things move before the still background: a hand, or "
        "something else that moves, may have been followed; look at report.html, turn the object alone, or give --mattes DIR"
    )
    return [words] if share > MISSED else []


def _of_given(root: Path, mattes: np.ndarray, model: SparseModel, naming: Naming) -> list[str]:
    """Return what is to be said about given mattes."""
    path = root / "mattes" / REMARKS
    said = json.loads(path.read_text()) if path.exists() else []
    apart = matte_files.disagreement(mattes, model, naming) if len(model.views) else silhouettes.disagreement(mattes, model)
    return [*said, *apart]
