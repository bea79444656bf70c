"""This module reads one photograph: upright, in sRGB, 8 bits a channel, with its alpha and what it says of its lens."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Lens
from nerfsem_method.media.clip.damage import complaint_of
from nerfsem_method.media.clip.messages import heard

_ORIENTATION, _MAKE, _MODEL, _EXIF = 0x112, 0x10F, 0x110, 0x8769
_FOCAL_LENGTH, _FOCAL_35MM, _LENS_MODEL = 0x920A, 0xA405, 0xA434
_INTEROP_IFD, _INTEROPERABILITY, _ADOBE_RGB = 0xA005, 0x1, "R03"
"""Cameras (DCF 2.0) may say in this way, and without a profile, that colours are of Adobe RGB."""
_ON_THEIR_SIDE = (5, 6, 7, 8)
"""With these orientations width and height change places."""
_UPRIGHT_ALREADY = ("TIFF", "HEIF")
"""Pictures of these formats are opened upright."""
_HEIC = (".heic", ".heif")


@dataclass(frozen=True)
class Header:
    """A header is what a photograph says before it is decoded: its upright (width, height), its lens and the number of pages."""

    size: tuple[int, int]
    lens: Lens
    pages: int


@dataclass(frozen=True)
class Picture:
    """A picture is RGB [H, W, 3] uint8 with its alpha [H, W], if it has any; `damage` says what is wrong with it, "" if nothing."""

    rgb: np.ndarray
    alpha: np.ndarray | None
    damage: str = ""


def read_header(path: Path) -> Header:
    """Return a photograph's header. Raises OSError for a file that is no picture, CaptureError where a library is missing."""
    with _opened(path) as image:
        exif = _exif(image)
        turned = exif.get(_ORIENTATION) in _ON_THEIR_SIDE and image.format not in _UPRIGHT_ALREADY
        return Header(image.size[::-1] if turned else image.size, _lens(exif), getattr(image, "n_frames", 1))


def read_picture(path: Path, page: int = 0) -> Picture:
    """Return a photograph, or one page of an animated picture; what is missing of a damaged one is grey or black.

    Raises OSError for a file that is no picture.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        if page:
            image.seek(page)
        loaded, damage = _load(image)
        if not damage and image.format in ("JPEG", "MPO"):
            damage = _jpeg_complaint(path)
        try:
            loaded = ImageOps.exif_transpose(loaded)
        except Exception:  # Broken EXIF data must not spoil a whole picture, and Pillow raises whatever it stumbles over.
            damage = damage or "its EXIF data are broken"
        rgb, alpha = _channels(loaded)
        if "icc_profile" not in image.info and _exif(image).get(_INTEROPERABILITY) == _ADOBE_RGB:
            rgb = _from_adobe_rgb(rgb)
        return Picture(rgb, alpha, damage)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a picture with Pillow, for which its size is no reason to refuse it."""
    from PIL import Image

    if path.suffix.lower() in _HEIC:
        _learn_heic(path)
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                yield image
    except (SyntaxError, ValueError, EOFError) as error:
        raise OSError(str(error)) from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _learn_heic(path: Path) -> None:
    try:
        from pillow_heif import register_heif_opener
    except ModuleNotFoundError:
        raise CaptureError(
            f"{path} is a HEIC photograph, which needs a library: python -m pip install pillow-heif, or save it as JPEG"
        ) from None
    register_heif_opener()


def _load(image: Any) -> tuple[Any, str]:
    """Decode a picture as far as it goes, and return it with what stopped that, "" if nothing did."""
    from PIL import Image, ImageFile

    try:
        image.load()
        return image, ""
    except (OSError, SyntaxError, ValueError) as error:
        reason = str(error).split(" (")[0]
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image.load()
        return image, reason
    except (OSError, SyntaxError, ValueError):
        return Image.new("RGB", image.size, (128, 128, 128)), reason
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _jpeg_complaint(path: Path) -> str:
    """Return what ffmpeg says against a JPEG file's data: Pillow passes over all but their end."""
    import av

    context = av.CodecContext.create("mjpeg", "r")
    context.thread_count = 1
    with heard() as messages:
        try:
            context.decode(av.Packet(path.read_bytes()))
        except av.FFmpegError:  # Kinds of JPEG that ffmpeg does not know are no damage.
            return ""
    return complaint_of(messages, False)


def _channels(image: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return sRGB [H, W, 3] and alpha [H, W] or None, both uint8, of a decoded picture of any mode."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = _eight_bits(np.asarray(image))
        return np.repeat(grey[..., None], 3, axis=2), None
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
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


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Return whole or real numbers of any range as uint8: of 16 bits the upper half, of fractions 255 for 1."""
    if values.dtype.kind == "f":
        top = 1.0 if np.nanmax(values, initial=0.0) <= 1 else 65535.0 if np.nanmax(values) > 255 else 255.0
        return np.rint(255 * np.clip(np.nan_to_num(values) / top, 0, 1)).astype(np.uint8)
    return (np.clip(values, 0, 65535) >> 8).astype(np.uint8)


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


def _from_adobe_rgb(picture: np.ndarray) -> np.ndarray:
    """Return a picture [H, W, 3] uint8 of Adobe RGB (1998), section 4.3, in sRGB (IEC 61966-2-1)."""
    linear = (np.arange(256) / 255.0) ** 2.19921875
    to_srgb = np.array([[1.39836, -0.39836, 0.0], [0.0, 1.0, 0.0], [0.0, -0.04293, 1.04293]], np.float32)
    light = np.clip(linear.astype(np.float32)[picture] @ to_srgb.T, 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * coded).astype(np.uint8)


def _exif(image: Any) -> dict[int, Any]:
    """Return a picture's EXIF facts by their tags; none where they are broken."""
    try:
        exif = image.getexif()
        return {**exif, **exif.get_ifd(_EXIF), **exif.get_ifd(_INTEROP_IFD)}
    except Exception:  # Pillow raises whatever it stumbles over in broken EXIF data.
        return {}


def _lens(exif: dict[int, Any]) -> Lens:
    camera = " ".join(filter(None, (_word(exif.get(_MAKE)), _word(exif.get(_MODEL)))))
    return Lens(_length(exif.get(_FOCAL_35MM)), _length(exif.get(_FOCAL_LENGTH)), camera, _word(exif.get(_LENS_MODEL)))


def _word(value: Any) -> str:
    return "".join(c for c in str(value) if c.isprintable()).strip() if isinstance(value, str) else ""


def _length(value: Any) -> float | None:
    """Return a focal length in millimetres, None where there is none: cameras write 0 for "unknown"."""
    try:
        length = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return length if math.isfinite(length) and length > 0 else None
