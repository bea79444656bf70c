"""Shots are pictures with known cameras, each with its own; a scene has one camera, through which all are seen again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.sparse import GIVEN, SparseModel
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.camera import Intrinsics

SAME = 0.05
"""Cameras that differ by less than this, in pixels, are one: no picture is resampled for so little."""
FEWEST = 8
"""Fewer pictures than this do not go around an object."""


@dataclass(frozen=True)
class Shot:
    """A shot is a picture, its camera, its pose cam_from_world [3, 4] in any world, and its matte, if one was made.

    The matte is a file of its own, or the alpha of the picture where both are the same file.
    """

    image: Path
    camera: Intrinsics
    pose: np.ndarray
    matte: Path | None = None


@dataclass(frozen=True)
class Shots:
    """These are all shots of an object in their order, and the points that were triangulated, if they are known.

    `points` [P, 3] have `colours` [P, 3] uint8; `views` [M, 4] has a row (point, shot, u, v), in pixels of the shot's camera.
    """

    folder: Path
    shots: tuple[Shot, ...]
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    colours: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    views: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))

    def __post_init__(self) -> None:
        if len(self.shots) < FEWEST:
            raise CaptureError(
                f"{self.folder} holds {len(self.shots)} posed pictures; at least {FEWEST} around the object are needed"
            )
        lenses = {shot.camera.distortion for shot in self.shots}
        if len(lenses) > 1:
            raise CaptureError(
                f"{self.folder} has pictures of {len(lenses)} lenses; a bundle holds one: undistort the pictures first"
            )
        shapes = {shot.camera.width > shot.camera.height for shot in self.shots}
        if len(shapes) > 1:
            raise CaptureError(f"{self.folder} has upright pictures beside wide ones; a bundle has frames of one shape")

    @property
    def camera(self) -> Intrinsics:
        """Return the camera of the scene: of the first shot's size, in the middle of all shots' own."""
        first = self.shots[0].camera
        params = np.median([shot.camera.scaled(first.width, first.height).params for shot in self.shots], 0)
        return Intrinsics(first.width, first.height, *params.tolist())

    @property
    def matted(self) -> bool:
        """Return whether every shot has a matte."""
        return all(shot.matte is not None for shot in self.shots)

    def model(self) -> SparseModel:
        """Return cameras and points as structure from motion would have left them."""
        camera = self.camera
        views = self.views.copy()
        for index, shot in enumerate(self.shots):
            own = views[:, 1] == index
            scale, shift = _to_own(camera, shot.camera)
            views[own, 2:] = (views[own, 2:] - shift) / scale
        poses = np.stack([shot.pose for shot in self.shots])
        registered = np.ones(len(poses), bool)
        return SparseModel(camera, poses, registered, self.points, self.colours, views, 0.0, 0, GIVEN)

    def write_picture(self, index: int, size: tuple[int, int], target: Path) -> None:
        """Write a shot's picture through the scene's camera, at a size (width, height), as a PNG file."""
        from PIL import Image

        shot = self.shots[index]
        Image.fromarray(_seen(shot.image, "RGB", shot.camera, self.camera, size)).save(target, compress_level=3)

    def matte(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Return a shot's matte, uint8 [H, W], seen likewise. Raises CaptureError where it has none."""
        shot = self.shots[index]
        if shot.matte is None:
            raise CaptureError(f"{shot.image} has no matte, though others have; give all of them, or none")
        return _seen(shot.matte, "A" if shot.matte == shot.image else "L", shot.camera, self.camera, size)


def _to_own(scene: Intrinsics, own: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift, each (x, y), that take pixels of the scene's camera to those of a shot's."""
    scale = np.array([own.fx / scene.fx, own.fy / scene.fy])
    return scale, np.array([own.cx, own.cy]) - scale * (scene.cx, scene.cy)


def _seen(path: Path, kind: str, own: Intrinsics, scene: Intrinsics, size: tuple[int, int]) -> np.ndarray:
    """Return an image file of one camera as another sees it, which has the same lens."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            # 16-bit greys would be cut off, not scaled, by a conversion
            image = opened.point(lambda v: v / 257).convert("L") if opened.mode.startswith("I;16") else opened
            image = image.convert("RGBA").getchannel("A") if kind == "A" else image.convert(kind)
    except (OSError, ValueError) as error:
        raise CaptureError(f"{path} cannot be read as an image ({error})") from None
    if abs(image.width * own.height - image.height * own.width) > 2 * max(own.width, own.height):
        raise CaptureError(f"{path} is {image.width}x{image.height}: not the shape of its camera, {own.width}x{own.height}")
    actual = own.scaled(image.width, image.height)
    target = scene.scaled(*size)
    alike = np.abs(np.subtract(actual.scaled(*size).params[:4], target.params[:4])).max() < SAME
    if alike:
        return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BOX))
    scale, shift = _to_own(target, actual)
    terms = (scale[0], 0.0, shift[0], 0.0, scale[1], shift[1])
    return np.asarray(image.transform(size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC))


def with_mattes_beside(shots: Shots) -> Shots:
    """Return the shots with the mattes of a folder `masks` beside the pictures' own, or with their alpha, where there is one."""
    found = [_matte_of(shot) for shot in shots.shots]
    if not any(found):
        return shots
    return replace(shots, shots=tuple(replace(s, matte=m) for s, m in zip(shots.shots, found, strict=True)))


def _matte_of(shot: Shot) -> Path | None:
    if shot.matte is not None:
        return shot.matte
    beside = shot.image.parent.parent / "masks"
    for name in (f"{shot.image.stem}.png", f"{shot.image.name}.png"):
        if (beside / name).is_file():
            return beside / name
    return shot.image if _has_alpha(shot.image) else None


def _has_alpha(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return "A" in image.getbands() or "transparency" in image.info
    except OSError:
        return False
