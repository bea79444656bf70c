"""This module reads one photograph: upright, in sRGB, 8 bits a channel, with its alpha and what it says of its lens."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.media.clip.clip import text_of
from nerfsem_method.media.clip.heic import is_heic, learn_heic
from nerfsem_method.media.clip.messages import heard, spoilt
from nerfsem_method.media.pictures import turn_to_largest

_ORIENTATION = 0x112
_EXIF, _FOCAL_LENGTH, _FOCAL_LENGTH_IN_35_MM, _MAKE, _MODEL = 0x8769, 0x920A, 0xA405, 0x010F, 0x0110
_ON_THEIR_SIDE = (5, 6, 7, 8)
"""With these orientations width and height change places."""
_UPRIGHT_ALREADY = ("TIFF", "HEIF")
"""Pictures of these formats are opened upright."""
_END_OF_JPEG = b"\xff\xd9"
_FOREIGN = bytes(random.Random(0).choices(range(255), k=64))
"""These bytes, none of which begins a marker, are part of no photograph."""


@dataclass(frozen=True)
class Picture:
    """A picture is RGB [H, W, 3] uint8 with its alpha [H, W], if it has any; `damage` says what is wrong, "" if nothing is."""

    rgb: np.ndarray
    alpha: np.ndarray | None
    damage: str = ""


def read_size(path: Path) -> tuple[int, int]:
    """Return a photograph's upright (width, height), by its header.

    Raises OSError for a file that is no picture, CaptureError where a library is missing.
    """
    with _opened(path) as image:
        turned = _orientation(image) in _ON_THEIR_SIDE and image.format not in _UPRIGHT_ALREADY
        return image.size[::-1] if turned else image.size


def count_pictures(path: Path) -> int:
    """Return how many pictures a file holds: more than one if it is an animation or has several pages; 0 if it is no picture."""
    try:
        with _opened(path) as image:
            alone = image.format in ("MPO", "HEIF")  # Telephones put a depth map or a thumbnail beside their photograph.
            return 1 if alone else getattr(image, "n_frames", 1)
    except OSError:
        return 0


def of_pages(files: Iterable[Path]) -> list[str]:
    """Return what is to be said of photographs in files of several pages, of which one is chosen; a file may be no picture."""
    found = []
    for path in files:
        with suppress(OSError), _opened(path) as image:
            found += [text_of(path.name)] * turn_to_largest(image)
    if not found:
        return []
    files_of_pages = f"{len(found)} of the photographs are files of several pages, such as {found[0]}"
    return [f"{files_of_pages}: the largest page is taken, of equal ones the first"]


def read_focal_length(path: Path) -> tuple[float, str] | None:
    """Return the focal length in mm that a photograph's EXIF data name, and the camera it is of; None without.

    As for 35 mm film it is of no camera, "": others tell nothing of each other's lengths.

    Raises OSError for a file that is no picture.
    """
    with _opened(path) as image:
        try:
            exif = image.getexif()
            said = exif.get_ifd(_EXIF)
            as_for_film = bool(said.get(_FOCAL_LENGTH_IN_35_MM))
            length = float(said.get(_FOCAL_LENGTH_IN_35_MM if as_for_film else _FOCAL_LENGTH) or 0)
            camera = "" if as_for_film else f"a camera {exif.get(_MAKE)} {exif.get(_MODEL)}"
        except Exception:  # Pillow raises whatever it stumbles over in broken EXIF data.
            return None
    return (length, camera) if 0 < length < float("inf") else None


def read_numbers(path: Path) -> np.ndarray | None:
    """Return the numbers of a picture of more than 8 bits: greys [H, W], or colours [H, W, 3 or 4]; None of any other.

    Raises OSError for a file that is no picture, and for a damaged one: what stands for its missing pixels is no number of it.
    """
    with _opened(path) as image:
        grey = _is_grey(image)
        if not grey and not _is_deep(image):
            return None
        colours = None if grey else _deep_colours(image, path)
        loaded, damage = _load(image)
        if damage:
            raise OSError(damage)
        return np.asarray(loaded) if grey else colours


def read_picture(path: Path, upright: bool = True, white: float | None = None) -> Picture:
    """Return a photograph, `upright` or as it is stored; what is missing of a damaged one is grey or black.

    In a picture of more than 8 bits this number is `white`; where it is None, that of all 16 bits, or what fits fractions.

    Raises OSError for a file that is no picture.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        deep = _deep_colours(image, path) if white is not None else None
        loaded, damage = _load(image)
        if deep is not None and not damage:
            loaded = _narrowed(deep, white, loaded)
        if image.format in ("JPEG", "MPO"):
            data = path.read_bytes()
            if damage and _lacks_its_end_alone(data):
                data += _END_OF_JPEG
                loaded, damage = _load(_from_bytes(data))
            damage = damage or _jpeg_complaint(data)
        if upright and _orientation(image) is not None:
            loaded = ImageOps.exif_transpose(loaded)
        return Picture(*_channels(loaded, white), damage)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a picture with Pillow, for which its size is no reason to refuse it."""
    from PIL import Image

    if is_heic(path):
        learn_heic(path)
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                turn_to_largest(image)
                yield image
    except (SyntaxError, ValueError, EOFError) as error:
        raise OSError(str(error)) from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _load(image: Any) -> tuple[Any, str]:
    """Decode a picture, or make a grey one where that fails, and return it with what was in the way, "" if nothing was."""
    from PIL import Image

    try:
        image.load()
        return image, ""
    except (OSError, SyntaxError, ValueError) as error:
        return Image.new("RGB", image.size, (128, 128, 128)), str(error).split(" (")[0]


def _lacks_its_end_alone(data: bytes) -> bool:
    """Return whether a JPEG file that breaks off holds the data of all its pixels.

    A decoder makes up what is missing and does not say so. Foreign bytes in place of the end tell: they change the picture
    where data were still expected.
    """
    complete = data.rstrip(_END_OF_JPEG[:1])
    shown, disturbed = (_load(_from_bytes(complete + more + _END_OF_JPEG)) for more in (b"", _FOREIGN))
    return not shown[1] and not disturbed[1] and shown[0].tobytes() == disturbed[0].tobytes()


def _from_bytes(data: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(data))


def _jpeg_complaint(data: bytes) -> str:
    """Return what ffmpeg says against a JPEG file's data: Pillow passes over all but their end."""
    import av

    context = av.CodecContext.create("mjpeg", "r")
    context.thread_count = 1
    with heard() as messages:
        try:
            context.decode(av.Packet(data))
        except av.FFmpegError:  # Kinds of JPEG that ffmpeg does not know are no damage.
            return ""
    return spoilt(messages)


def _is_grey(image: Any) -> bool:
    """Return whether a picture is grey, of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def _has_alpha(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _is_deep(image: Any) -> bool:
    """Return whether a picture that is not decoded yet says that its numbers have 16 bits."""
    stored = image.tile[0][3] if getattr(image, "tile", None) else ""
    return ";16" in str(stored if isinstance(stored, str) else (stored or ("",))[:1])


def _deep_colours(image: Any, path: Path) -> np.ndarray | None:
    """Return the colours of a picture of 16 bits, which is not decoded yet, [H, W, 3 or 4] uint16; None of any other.

    Pillow keeps 8 of their bits. Of a later page, of one that does not lie as it is shown, and of inks there are none, either.
    A fourth channel is kept where it is alpha, for a TIFF file may keep there what it does not say.
    """
    import cv2

    if not _is_deep(image) or image.mode == "CMYK" or image.tell():
        return None
    if image.format == "TIFF" and _orientation(image) not in (None, 1):
        return None
    try:
        values = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if values is None or values.ndim != 3 or values.dtype != np.uint16 or values.shape[1::-1] != image.size:
        return None
    return values[..., [2, 1, 0, 3][: values.shape[2] if _has_alpha(image) else 3]]


def _narrowed(deep: np.ndarray, white: float | None, loaded: Any) -> Any:
    """Return colours [H, W, 3 or 4] of 16 bits as a picture of 8, which has the profile and lies as the one that was loaded."""
    from PIL import Image

    image = Image.fromarray(_eight_bits(deep, white))
    image.info.update({key: said for key, said in loaded.info.items() if key in ("icc_profile", "exif")})
    return image


def _channels(image: Any, white: float | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return sRGB [H, W, 3] and alpha [H, W] or None, both uint8, of a decoded picture of any mode."""
    if _is_grey(image):
        grey = _eight_bits(np.asarray(image), white)
        return np.repeat(grey[..., None], 3, axis=2), None
    alpha = None
    if _has_alpha(image):
        layered = image.convert("RGBA")
        alpha = np.asarray(layered.getchannel("A"))
        layers = layered.convert("RGB") if image.mode not in ("LA", "La") else image.convert("L")
    else:
        layers = image
    if layers.mode not in ("RGB", "L", "CMYK", "LAB"):
        layers = layers.convert("RGB")
    profile = image.info.get("icc_profile")
    shown = _to_srgb(layers, profile) if profile else None
    return np.array((shown or layers).convert("RGB")), alpha


def _eight_bits(values: np.ndarray, white: float | None) -> np.ndarray:
    """Return whole or real numbers of any range as uint8: of whole ones the upper 8 bits, of fractions 255 for white."""
    if values.dtype.kind == "f":
        top = white or (1.0 if np.nanmax(values, initial=0.0) <= 1 else 65535.0 if np.nanmax(values) > 255 else 255.0)
        return np.rint(255 * np.clip(np.nan_to_num(values) / top, 0, 1)).astype(np.uint8)
    largest = int(white or 65535)
    return (np.clip(values, 0, largest) >> largest.bit_length() - 8).astype(np.uint8)


def _to_srgb(image: Any, profile: bytes) -> Any | None:
    """Return a picture in sRGB by its colour profile; None where that is sRGB already, or no profile of such a picture."""
    from PIL import ImageCms

    try:
        transform = _transform(profile, image.mode)
        return ImageCms.applyTransform(image, transform) if transform is not None else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> Any | None:
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _orientation(image: Any) -> int | None:
    """Return how a picture lies, by its EXIF data; None where they do not say or are broken."""
    try:
        return image.getexif().get(_ORIENTATION)
    except Exception:  # Pillow raises whatever it stumbles over in broken EXIF data.
        return None
