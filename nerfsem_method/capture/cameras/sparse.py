"""A sparse model is what structure from motion leaves behind: a camera for every frame, and points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerfsem_method.capture.clip.motion import Box
from nerfsem_method.capture.colmap.job import HARDLY_TOLD
from nerfsem_method.scene.camera import FrameCameras, Intrinsics

SCALARS = (
    "reprojection_error", "closures", "region", "overlays", "stretches", "focal_evidence", "explained", "apart", "ordered",
    "squeeze", "fisheye", "lenses",
)  # fmt: skip
"""These fields of a SparseModel are no arrays and are saved beside the camera."""
GIVEN = "given"
"""The cameras come from another program when this is the region of their SparseModel."""
LEAST_EXPLAINED = 0.56
"""Of the matches between its frames this share must belong to a model's points: in right models of 20 to 100 frames .65 to .78
do, in ones of photographs in a wrong order .48 and .52."""
LEAST_OF_FILM = 0.47
"""In wrong models of films .28 to .45 did, in right ones of small and blurred pictures .50 and more: from this share on a film's
order says enough for them not to be called in question, as long as features come from all of the frame."""
MOST_APART = 0.5
"""A part of the clip is another one where more than this share of the frames without a camera hangs together."""
OTHER_PART = (
    "they have much in common with each other, but not with the rest: another object, mirrored pictures, or a cut; give them "
    "as a clip of their own"
)
TO_THE_RIGHT = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""This takes the axes of a camera whose picture was turned to the left to those of before."""
ARRAYS = ("poses", "registered", "points", "colours", "views")
"""These fields of a SparseModel are arrays."""


@dataclass(frozen=True)
class SparseModel:
    """A sparse model holds the cameras of all frames and the triangulated points, in COLMAP's arbitrary world.

    `poses` [N, 3, 4] are cam_from_world; `registered` [N] bool is False where the pose is interpolated or
    there is none, which is NaN. `points` [P, 3] have
    `colours` [P, 3] uint8. `views` [M, 4] float has a row (point, frame, u, v), in pixels of `camera`, for each time that a
    frame sees a point. `reprojection_error` is their mean in pixels, `closures` the number of pairs that tie the turn's end
    to its beginning. `region`, "frame", "object" or GIVEN, says where the features come from; none were sought
    in `overlays`, which stand still while the rest moves. `stretches` are first frame, last frame and focal length of
    parts of the clip that would rather have their own, relative to the median. `focal_evidence` is the share by which
    a focal length a tenth off fits worse; None where that was not asked. Of the verified matches between frames with a
    pose, the share `explained` is of these points. Of those without one, the share `apart` has much in common with each other.
    Frames are `ordered` where they follow each other in time, as a film's do. Pixels are `squeeze` times wider than high.
    `fisheye` is the focal length in pixels of the fisheye lens by which all fits better, 0 where none does.
    `lenses` are frames that another lens took, and how many times `camera`'s focal length theirs is. Frames that are `turned` to
    the left by 90 degrees were taken otherwise; this is not saved.
    """

    camera: Intrinsics
    poses: np.ndarray
    registered: np.ndarray
    points: np.ndarray
    colours: np.ndarray
    views: np.ndarray
    reprojection_error: float
    closures: int
    region: str = "frame"
    overlays: Sequence[Box] = ()
    stretches: Sequence[tuple[int, int, float]] = ()
    focal_evidence: float | None = None
    explained: float = 1.0
    apart: float = 0.0
    ordered: bool = True
    squeeze: float = 1.0
    fisheye: float = 0.0
    lenses: Sequence[tuple[int, float]] = ()
    turned: Sequence[int] = ()

    def save(self, folder: Path) -> None:
        """Write camera.json and model.npz into `folder`."""
        scalars = {name: getattr(self, name) for name in SCALARS}
        (folder / "camera.json").write_text(json.dumps({**vars(self.camera), **scalars}))
        np.savez_compressed(folder / "model.npz", **{name: getattr(self, name) for name in ARRAYS})

    @classmethod
    def load(cls, folder: Path) -> SparseModel:
        """Read what `save` wrote."""
        camera = json.loads((folder / "camera.json").read_text())
        scalars = {name: camera.pop(name) for name in SCALARS}
        with np.load(folder / "model.npz") as arrays:
            return cls(Intrinsics(**camera), **{name: arrays[name] for name in arrays.files}, **scalars)

    @property
    def doubtful(self) -> bool:
        """Return whether so much of what frames have in common contradicts their cameras that other keyframes may do better."""
        return self.explained < LEAST_EXPLAINED

    @property
    def contradicted(self) -> bool:
        """Return whether so much does that the cameras may be wrong."""
        return self.explained < (LEAST_OF_FILM if self.ordered and self.region == "frame" else LEAST_EXPLAINED)

    @property
    def lens_unsure(self) -> bool:
        """Return whether the clip hardly tells its focal length."""
        return self.focal_evidence is not None and self.focal_evidence < HARDLY_TOLD

    @property
    def posed(self) -> np.ndarray:
        """Return which frames [N] bool have a pose."""
        return np.isfinite(self.poses).all((1, 2))

    @property
    def zooms(self) -> np.ndarray | None:
        """Return how many times `camera`'s focal length each frame's is [N] float64, None where one lens took all."""
        if not self.lenses:
            return None
        zooms = np.ones(len(self.poses))
        for frame, zoom in self.lenses:
            zooms[frame] = zoom
        return zooms

    @property
    def taken(self) -> np.ndarray:
        """Return the `poses` as the pictures were taken, before some were turned."""
        poses = self.poses.copy()
        poses[[*self.turned]] = TO_THE_RIGHT @ poses[[*self.turned]]
        return poses

    @property
    def cameras(self) -> FrameCameras:
        """Return the cameras of all frames."""
        return FrameCameras(self.camera, self.poses, self.zooms)

    def of_posed_frames(self) -> SparseModel:
        """Return the model of those frames alone that have a pose, numbered anew."""
        return self.of_frames(self.posed)

    def of_frames(self, chosen: np.ndarray) -> SparseModel:
        """Return the model of the `chosen` frames [N] bool alone, numbered anew; all points stay."""
        rows = np.cumsum(chosen) - 1
        views = self.views[chosen[self.views[:, 1].astype(int)]]
        views[:, 1] = rows[views[:, 1].astype(int)]
        lenses = [(int(rows[frame]), zoom) for frame, zoom in self.lenses if chosen[frame]]
        turned = [int(rows[frame]) for frame in self.turned if chosen[frame]]
        kept = {"poses": self.poses[chosen], "registered": self.registered[chosen], "views": views}
        return replace(self, **kept, lenses=lenses, turned=turned)

    def points_on(self, mattes: np.ndarray, least_share: float = 0.8) -> np.ndarray:
        """Return which points lie on the object [P] bool: at least this share of their views falls on a matte.

        `mattes` [N, H, W] are uint8 and may have any size.
        """
        point, frame = self.views[:, 0].astype(int), self.views[:, 1].astype(int)
        height, width = mattes.shape[1:]
        column = (self.views[:, 2] * width / self.camera.width).astype(int).clip(0, width - 1)
        row = (self.views[:, 3] * height / self.camera.height).astype(int).clip(0, height - 1)
        on = np.bincount(point, mattes[frame, row, column] > 127, len(self.points))
        return on >= least_share * np.bincount(point, minlength=len(self.points)).clip(1)
