"""Shots are pictures with known cameras, each with its own; they are seen again through a scene's one, zoomed for each lens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.sparse import GIVEN, SparseModel
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.alpha import Ground
from nerfsem_method.media.clip.picture import Picture, read_picture
from nerfsem_method.media.clip.whites import White, find_white
from nerfsem_method.scene.camera import Intrinsics, Window, camera_centres, shown_part

SAME = 0.05
"""Cameras that differ by less than this, in pixels, are one: no picture is resampled for so little."""
ONE_LENS = 0.065
"""Focal lengths that differ by less than this share are taken for one lens's."""
MOST_ZOOM = 20.0
"""No two lenses show the same object with focal lengths that differ by so many times."""
FEWEST = 8
"""Fewer pictures than this do not go around an object."""
LENSES = (0.1, 100.0)
"""Focal lengths lie between so many longer sides of the picture."""
MASKS, OTHERS = "masks", "mask"
"""A folder of the first name beside that of the pictures may hold mattes; one of the second may as well hide what walks past."""
ENDINGS = (".png", ".jpg", ".jpeg")
"""Mattes have the pictures' names with one of these endings instead of their own, or after it."""


@dataclass(frozen=True)
class Shot:
    """A shot is a picture, its camera, its pose cam_from_world [3, 4] in any world (NaN: none), and its matte, if one was made.

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
    `notes` are to be said of what was taken.
    """

    folder: Path
    shots: tuple[Shot, ...]
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    colours: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    views: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shots) < FEWEST:
            raise CaptureError(
                f"{self.folder} holds {len(self.shots)} posed pictures; at least {FEWEST} around the object are needed"
            )
        for shot in self.shots:
            focal, long_side = min(shot.camera.fx, shot.camera.fy), max(shot.camera.width, shot.camera.height)
            if not LENSES[0] < focal / long_side < LENSES[1]:
                name = shot.image.name
                raise CaptureError(f"{self.folder} has a focal length of {focal:g} pixels for {name}, which no lens has")
        poses = np.stack([shot.pose for shot in self.shots])
        centres = camera_centres(poses[np.isfinite(poses).all((1, 2))])
        if len(centres) and np.ptp(centres, 0).max() <= 1e-9 * max(np.abs(centres).max(), 1e-3):
            raise CaptureError(f"the cameras of {self.folder} all stand in one place: are these their poses?")
        lenses = {shot.camera.distortion for shot in self.shots}
        if len(lenses) > 1:
            raise CaptureError(
                f"{self.folder} has pictures of {len(lenses)} lenses, each with a distortion of its own; a bundle holds one: "
                "undistort the pictures first"
            )
        shapes = {shot.camera.width > shot.camera.height for shot in self.shots}
        if len(shapes) > 1:
            raise CaptureError(f"{self.folder} has upright pictures beside wide ones; a bundle has frames of one shape")

    @cached_property
    def camera(self) -> Intrinsics:
        """Return the camera of the scene: of the first shot's size, in the middle of those of the shots by the usual lens."""
        first = self.shots[0].camera
        params = np.array([shot.camera.scaled(first.width, first.height).params for shot in self.shots])
        lengths = np.log(params[:, 0])
        usual = np.abs(lengths - np.sort(lengths)[len(lengths) // 2]) < ONE_LENS
        return Intrinsics(first.width, first.height, *np.median(params[usual], 0).tolist())

    @cached_property
    def zooms(self) -> list[float]:
        """Return how many times the scene's focal length each shot's lens has; 1 where it is the usual one."""
        camera = self.camera
        seen = [shot.camera.scaled(camera.width, camera.height) for shot in self.shots]
        zooms = [min(own.fx / camera.fx, own.fy / camera.fy) for own in seen]  # All of a picture is kept, whatever its shape.
        for shot, zoom in zip(self.shots, zooms, strict=True):
            if not 1 / MOST_ZOOM < zoom < MOST_ZOOM:
                raise CaptureError(
                    f"{self.folder} has {zoom:g} times the usual focal length for {shot.image.name}; leave that picture out"
                )
        return [zoom if abs(np.log(zoom)) >= ONE_LENS else 1.0 for zoom in zooms]

    @cached_property
    def white(self) -> White:
        """Return what is white in pictures of more than 8 bits."""
        return find_white(shot.image for shot in self.shots)

    @property
    def matted(self) -> bool:
        """Return whether every shot has a matte."""
        return all(shot.matte is not None for shot in self.shots)

    def model(self, taken: list[int]) -> SparseModel:
        """Return cameras and points of the shots of these numbers as structure from motion would have left them."""
        row_of = np.full(len(self.shots), -1)
        row_of[taken] = np.arange(len(taken))
        views = self.views.copy()
        for index, shot in enumerate(self.shots):
            own = views[:, 1] == index
            scale, shift = _to_own(self.camera.zoomed(self.zooms[index]), shot.camera)
            views[own, 2:] = (views[own, 2:] - shift) / scale
        views[:, 1] = row_of[views[:, 1].astype(int)]
        poses = np.stack([self.shots[number].pose for number in taken])
        registered = np.isfinite(poses).all((1, 2))
        views = views[views[:, 1] >= 0]
        lenses = [(row, self.zooms[number]) for row, number in enumerate(taken) if self.zooms[number] != 1]
        return SparseModel(self.camera, poses, registered, self.points, self.colours, views, 0.0, 0, GIVEN, lenses=lenses)

    def window(self, index: int) -> Window | None:
        """Return which part of the scene's frame a shot's picture fills, None for all.

        A lens that looks aside, as that of a picture which was cropped on one side does, leaves a rim of which nothing is known.
        """
        own, camera = self.shots[index].camera, self.camera
        size = np.array([camera.width, camera.height])
        scale, shift = _to_own(camera.zoomed(self.zooms[index]), own)
        low, high = -shift / scale, ((own.width, own.height) - shift) / scale
        if (low < SAME).all() and (high > size - SAME).all():
            return None
        left, top, right, bottom = np.concatenate([low / size, high / size]).clip(0, 1).tolist()
        return left, top, right, bottom

    def seen(self, index: int, size: tuple[int, int], ground: Ground) -> Picture:
        """Return a shot's picture through the scene's camera, with its matte as alpha, at a size (width, height).

        The camera is zoomed as the shot's lens is. Raises CaptureError for a file that is no picture, or has not the shape of its
        camera.
        """
        shot, camera = self.shots[index], self.camera.zoomed(self.zooms[index])
        picture = _read(shot.image, shot.camera, self.white.number)
        if picture.damage:
            return picture
        mask = picture if shot.matte == shot.image else _read(shot.matte, shot.camera) if shot.matte else None
        rgb = picture.rgb if picture.alpha is None else ground.under(picture.rgb, picture.alpha)
        alpha, window = None, self.window(index)
        if mask is not None:
            if mask.damage:
                return mask
            values = mask.alpha if mask is picture and mask.alpha is not None else mask.rgb.max(-1)
            alpha = _resampled(values, shot.camera, camera, size)
        seen = _resampled(rgb, shot.camera, camera, size)
        return Picture(seen if window is None else _continued(seen, *shown_part(window, *size)), alpha)


def _read(path: Path, camera: Intrinsics, white: float | None = None) -> Picture:
    """Return a picture as it is stored, for that is what its camera describes; of more than 8 bits this number is `white`."""
    try:
        picture = read_picture(path, upright=False, white=white)
    except OSError as error:
        raise CaptureError(f"{path} cannot be read as an image ({error})") from None
    height, width = picture.rgb.shape[:2]
    if abs(width * camera.height - height * camera.width) > 2 * max(camera.width, camera.height):
        raise CaptureError(f"{path} is {width}x{height}: not the shape of its camera, {camera.width}x{camera.height}")
    return picture


def _to_own(scene: Intrinsics, own: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift, each (x, y), that take pixels of the scene's camera to those of a shot's."""
    scale = np.array([own.fx / scene.fx, own.fy / scene.fy])
    return scale, np.array([own.cx, own.cy]) - scale * (scene.cx, scene.cy)


def _resampled(values: np.ndarray, own: Intrinsics, scene: Intrinsics, size: tuple[int, int]) -> np.ndarray:
    """Return a picture or a matte, uint8, of one camera as another sees it, which has the same lens."""
    from PIL import Image

    image = Image.fromarray(values)
    actual = own.scaled(image.width, image.height)
    target = scene.scaled(*size)
    alike = np.abs(np.subtract(actual.scaled(*size).params[:4], target.params[:4])).max() < SAME
    if alike:
        return values if image.size == size else np.asarray(image.resize(size, Image.Resampling.BOX))
    scale, shift = _to_own(target, actual)
    terms = (scale[0], 0.0, shift[0], 0.0, scale[1], shift[1])
    return np.asarray(image.transform(size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC))


def _continued(picture: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Return a picture whose rim repeats what lies beside it: a black one would be an edge, and count as background."""
    height, width = picture.shape[:2]
    down, across = np.arange(height).clip(rows.start, rows.stop - 1), np.arange(width).clip(columns.start, columns.stop - 1)
    return picture[down][:, across]


def with_mattes_beside(shots: Shots) -> Shots:
    """Return the shots with the mattes of a folder beside the pictures' own, or with their alpha, where there is one.

    A file that several pictures would take by its name is none of theirs. Where there are no mattes, but a folder that may hold
    some, a note is made.
    """
    found = [_beside(shot.image, shots.folder) if shot.matte is None else None for shot in shots.shots]
    takers = Counter(found)
    mattes = [
        shot.matte or (matte if takers[matte] == 1 else None) or (shot.image if _has_alpha(shot.image) else None)
        for shot, matte in zip(shots.shots, found, strict=True)
    ]
    changed = tuple(replace(shot, matte=matte) for shot, matte in zip(shots.shots, mattes, strict=True))
    notes = [] if any(mattes) else [
        f"the files in {folder} are not called after one picture each, and not heeded; --mattes takes a folder of mattes"
        for folder in (shots.folder / name for name in (MASKS, OTHERS)) if folder.is_dir() and any(folder.iterdir())
    ]  # fmt: skip
    return replace(shots, shots=changed, notes=(*shots.notes, *notes))


def without_mattes(shots: Shots) -> Shots:
    """Return the shots alone, for mattes that come from elsewhere."""
    return replace(shots, shots=tuple(replace(shot, matte=None) for shot in shots.shots))


def _beside(image: Path, folder: Path) -> Path | None:
    """Return a picture's matte in a folder beside one that it lies in, up to the `folder` of all; None where there is none.

    It lies there as deep as the picture does, or right in it.
    """
    for above in image.parents:
        below = image.relative_to(above)
        for place in (below, Path(below.name)):
            for ending in ENDINGS:
                for name in (place.with_suffix(ending), place.with_name(f"{place.name}{ending}")):
                    if (matte := above.parent / MASKS / name).is_file() and matte != image:
                        return matte
        if above == folder or above.parent == folder:
            return None
    return None


def _has_alpha(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return "A" in image.getbands() or "transparency" in image.info
    except OSError:
        return False
