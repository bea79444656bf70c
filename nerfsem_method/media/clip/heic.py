"""HEIC photographs are known by their bytes, for telephones and messengers give them other names, and need a library."""

from __future__ import annotations

from pathlib import Path

from nerfsem_method.errors import CaptureError

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""A file that begins with one of these brands is a HEIC photograph, unless one of `_AVIF` is there, which Pillow reads itself."""
_AVIF = {b"avif", b"avis"}


def is_heic(path: Path) -> bool:
    """Return whether a file says that it is HEIC: telephones and messengers give such files other names."""
    with path.open("rb") as stream:
        size, kind = int.from_bytes(stream.read(4), "big"), stream.read(4)
        said = stream.read(min(size, 256) - 8) if kind == b"ftyp" and size > 8 else b""
    brands = {said[start : start + 4] for start in range(0, len(said), 4)}
    return bool(brands & _HEIC) and not brands & _AVIF


def learn_heic(path: Path) -> None:
    """Have Pillow read HEIC photographs. Raises CaptureError, which names this one, where the library is missing."""
    try:
        from pillow_heif import register_heif_opener
    except ModuleNotFoundError:
        named = "" if path.suffix.lower() in (".heic", ".heif") else " (in spite of its name)"
        raise CaptureError(
            f"{path}{named} is a HEIC photograph, which needs a library: python -m pip install pillow-heif, or save it as JPEG"
        ) from None
    register_heif_opener()
