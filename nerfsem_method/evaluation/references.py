"""Decoded frames are compared with these frames and mattes, which are kept on disk while an evaluation runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.evaluation.metrics import masked_reference
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.media.matte_names import list_mattes
from nerfsem_method.media.mattes import given_mattes
from nerfsem_method.media.pictures import quarter_turn
from nerfsem_method.scene.scene import AGREED, Scene, Video


@dataclass(frozen=True)
class Clip:
    """A clip says where the truth lies: the video, and its mattes in a folder of PNG files or in a captured scene."""

    video: Path
    mattes: Path | None = None
    scene: Path | None = None


@dataclass(frozen=True)
class References:
    """The references are the source frames (PC's truth), their soft mattes, and the frames over white (FP's truth).

    All are uint8: frames [N, H, W, 3], mattes [N, H, W]. The mattes are `agreed` where a training brought them to agree with a
    field, and are the captured or given ones otherwise.
    """

    frames: np.ndarray
    mattes: np.ndarray
    masked: np.ndarray
    agreed: bool = False

    def of_mode(self, mode: str) -> np.ndarray:
        """Return what decoded frames of this mode are compared with."""
        return self.masked if mode == "fp" else self.frames


def load_references(clip: Clip, video: Video, folder: Path) -> References:
    """Read the frames of a clip that a bundle's `video` has into arrays that live in `folder`.

    Of a clip with more frames a second those are read that a bundle of this rate was made of, without those it left out. Raises
    CaptureError when anything is missing or does not fit.
    """
    count, height, width = shape = video.frames, video.height, video.width
    findings = Findings()
    if clip.scene is not None:
        scene = Scene.load(clip.scene)
        captured = scene.frames
        pictures: Iterable[np.ndarray] = (_picture(clip.scene / f.image, "RGB", width, height) for f in captured)
        sources = [scene.matte_path(frame.index) for frame in captured]
    else:
        every = max(1, round(open_clip(clip.video).rate / video.rate))
        pictures = (
            frame.rgb
            for frame in open_clip(clip.video, every).frames((width, height), findings)
            if frame.number not in video.left_out
        )
        sources = list_mattes(clip.mattes) if clip.mattes is not None else []
    if len(sources) < count or clip.scene is not None:
        _check_number(len(sources), count, clip)
    frames = _spool(pictures, (*shape, 3), folder / "frames.npy", clip.video)
    chosen = findings.mattes(sources)
    if clip.scene is None and len(chosen) > count:
        chosen = [index for index, number in zip(chosen, findings.numbers, strict=True) if number not in video.left_out]
    _check_number(len(chosen), count, clip)
    numbers = [number for number in findings.numbers if number not in video.left_out]
    turned = [clip.scene is None and number in findings.turned for number in numbers or chosen]
    taken = _mattes(clip, sources, list(zip(chosen, turned, strict=True)), width, height)
    mattes = _spool(taken, shape, folder / "mattes.npy", clip.video)
    over_white = (masked_reference(frame, matte) for frame, matte in zip(frames, mattes, strict=True))
    agreed = clip.scene is not None and any(path.is_relative_to(clip.scene / AGREED) for path in sources)
    return References(frames, mattes, _spool(over_white, (*shape, 3), folder / "masked.npy", clip.video), agreed)


def _check_number(mattes: int, count: int, clip: Clip) -> None:
    if mattes != count:
        found = f"{clip.scene or clip.mattes} holds {mattes} mattes"
        raise CaptureError(f"{found} for the {count} frames of the bundle; give the clip's own")


def _spool(pictures: Iterable[np.ndarray], shape: tuple[int, ...], path: Path, video: Path) -> np.ndarray:
    """Return an array on disk, filled one picture at a time. Raises CaptureError for another number of pictures."""
    found = 0
    with path.open("wb") as file:  # a mapped array that outgrows the disk would kill the process
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for found, picture in enumerate(pictures, 1):
            if found > shape[0]:
                break
            file.write(picture.tobytes())
    if found != shape[0]:
        amount = f"{found} frames" if found < shape[0] else "more frames"
        raise CaptureError(f"{video} has {amount}, the bundle {shape[0]}; give the clip that the bundle was made from")
    return np.load(path, mmap_mode="r")


def _mattes(
    clip: Clip, sources: list[Path], chosen: list[tuple[int, bool]], width: int, height: int
) -> Iterator[np.ndarray]:
    """Yield the `chosen` mattes of a captured scene, or of a folder as a capture reads them.

    They are given by their indices, and whether they are of photographs that have been turned to the left.
    """
    from PIL import Image

    if clip.scene is not None or clip.mattes is None:
        yield from (_picture(sources[index], "L", width, height) for index, _ in chosen)
        return
    given = given_mattes(clip.mattes)
    for index, turned in chosen:
        matte = quarter_turn(given.read(index)) if turned else given.read(index)
        yield np.asarray(Image.fromarray(matte).resize((width, height), Image.Resampling.BOX))


def _picture(path: Path, mode: str, width: int, height: int) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode).resize((width, height), Image.Resampling.BOX))
    except OSError as error:
        raise CaptureError(f"{path} cannot be read as a picture ({error}); capture the clip again") from None
