"""Photographs of one object are a clip: each is a frame, in the natural order of their names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.alpha import Ground
from nerfsem_method.media.clip.clip import Clip, ClipFrame, Findings, Lens, check_size
from nerfsem_method.media.clip.filters import Resizer
from nerfsem_method.media.clip.listing import Listing
from nerfsem_method.media.clip.picture import read_header, read_picture

RATE = Fraction(5)
"""Photographs are shown at so many a second: slow enough to see each, and a turn of 60 takes 12 seconds."""


@dataclass(frozen=True)
class Shot:
    """A shot is one photograph: a file, or a page of an animated picture, with its lens."""

    path: Path
    lens: Lens
    page: int = 0

    @property
    def source(self) -> str:
        """Return what the frame is called by."""
        return f"{self.path.name}, page {self.page}" if self.page else self.path.name


@dataclass(frozen=True)
class PhotographClip(Clip):
    """A clip of photographs of one size; `shots` are all of them, before thinning."""

    shots: tuple[Shot, ...]

    @cached_property
    def sha256(self) -> str:  # type: ignore[override]
        """Return the SHA-256 of the photographs' names and contents in their order."""
        whole = hashlib.sha256()
        for path in dict.fromkeys(shot.path for shot in self.shots):
            with path.open("rb") as stream:
                whole.update(f"{hashlib.file_digest(stream, 'sha256').hexdigest()} ".encode())
            whole.update(path.name.encode("utf-8", "surrogateescape") + b"\n")
        return whole.hexdigest()

    def frames(self, size: tuple[int, int] | None = None, findings: Findings | None = None) -> Iterator[ClipFrame]:
        """Yield the frames as `Clip.frames` says. Raises CaptureError for a file that has changed meanwhile."""
        ground, resize = Ground(), Resizer(size or (self.width, self.height))
        for index, shot in enumerate(self.shots[:: self.every]):
            try:
                picture = read_picture(shot.path, shot.page)
            except OSError as error:
                raise CaptureError(f"{shot.path} cannot be read any more ({error})") from None
            if picture.rgb.shape[:2] != (self.height, self.width):
                raise CaptureError(f"{shot.path} was {self.width}x{self.height} at first and no longer is; leave the files alone")
            if picture.damage and findings is not None:
                findings.damaged[index] = picture.damage
            rgb, alpha = picture.rgb, picture.alpha
            if alpha is not None:
                rgb, alpha = ground.under(rgb, alpha), resize(alpha)
            yield ClipFrame(index, shot.source, resize(rgb), alpha, shot.lens)


def open_photographs(path: Path, listing: Listing, every: int) -> PhotographClip:
    """Return the clip of the photographs in a listing.

    The commonest size is the clip's, and pictures of another size are left out, for all frames have one camera. Raises
    CaptureError where no size is that of the most.
    """
    left_out = dict(listing.left_out)
    for video in listing.videos:
        left_out[video.name] = "a video among photographs"
    sizes: dict[Path, tuple[int, int]] = {}
    shots = []
    for photograph in listing.photographs:
        try:
            header = read_header(photograph)
        except OSError:
            left_out[photograph.name] = "not a picture that can be read"
            continue
        sizes[photograph] = header.size
        shots.append(Shot(photograph, header.lens))
    if not shots:
        raise CaptureError(f"none of the {len(listing.photographs)} photographs of {path} can be read")
    (size, count), *others = Counter(sizes.values()).most_common()
    if 2 * count <= len(shots) and others:
        kinds = ", ".join(f"{number} of {w}x{h}" for (w, h), number in [(size, count), *others[:2]])
        raise CaptureError(f"the photographs of {path} are of different sizes ({kinds}); give those of one size alone")
    check_size(*size, str(path))
    for photograph, other in sizes.items():
        if other != size:
            left_out[photograph.name] = f"{other[0]}x{other[1]}, where the others are {size[0]}x{size[1]}"
    kept = tuple(shot for shot in shots if sizes[shot.path] == size)
    return PhotographClip(path, every, *size, RATE / every, -(-len(kept) // every), True, left_out, kept)


def open_animation(path: Path, pages: int, every: int) -> PhotographClip:
    """Return the clip of an animated picture that Pillow can read and ffmpeg cannot."""
    header = read_header(path)
    check_size(*header.size, str(path))
    shots = tuple(Shot(path, Lens(), page) for page in range(pages))
    return PhotographClip(path, every, *header.size, RATE / every, -(-pages // every), True, {}, shots)
