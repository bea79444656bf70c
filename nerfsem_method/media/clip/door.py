"""This is the one door through which a path becomes a clip."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Clip, is_pattern
from nerfsem_method.media.clip.container import open_video
from nerfsem_method.media.clip.listing import CAMERA_KINDS, RAW_KINDS, list_folder, list_pattern
from nerfsem_method.media.clip.photographs import open_photographs
from nerfsem_method.media.clip.picture import count_pictures
from nerfsem_method.media.matte_names import ARCHIVES


def open_clip(path: Path, every: int = 1) -> Clip:
    """Return the clip at `path`, of which every `every`-th frame is taken.

    A clip is a video file, a folder of photographs, or a pattern of their names with wildcards (`shots/*.JPG`) or a number
    (`f_%04d.png`). Raises CaptureError for anything else, in words that say what to give instead.
    """
    if every < 1:
        raise CaptureError(f"--every {every} takes no frame; give 1 or more")
    if (address := re.fullmatch("(file|https?):/(.*)", str(path), re.DOTALL | re.IGNORECASE)) and not os.path.lexists(path):
        if address[1].lower() == "file":
            raise CaptureError(f"{path} is an address; name the file by its path alone, as in /home/me/relic.mp4")
        given = f"{address[1]}://{address[2]}"  # A path keeps one of two slashes.
        raise CaptureError(f"{given} is an address: save the video as a file first, and name that")
    try:
        if is_pattern(path):
            found = list_pattern(path)
            return open_photographs(path, found, every) if found.photographs else open_video(found.videos[0], every)
        if path.is_dir():
            return open_photographs(path, list_folder(path), every)
        regular, exists = path.is_file(), path.exists()
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if not exists:
        broken = " (it is a link to a file that is not there)" if os.path.islink(path) else ""
        raise CaptureError(f"{path} does not exist{broken}; name a video or a folder of photographs")
    if not regular:
        raise CaptureError(f"{path} is not a file but a pipe or a device; save the video as a file first")
    kind = path.suffix.lower()
    if kind in ARCHIVES:
        raise CaptureError(f"{path} is an archive; unpack it and name the video, or the folder of photographs, that is in it")
    if kind == ".nsem":
        raise CaptureError(f"{path} is a bundle, made of a clip before; nerfsem decode gives its video back")
    if kind in RAW_KINDS:
        raise CaptureError(f"{path} is one RAW photograph; develop all of them to JPEG or TIFF and name their folder")
    pictures = count_pictures(path) if kind in CAMERA_KINDS else None
    if pictures == 0:
        raise CaptureError(f"{path} is called a photograph and is none that can be read; give a video the ending of its kind")
    if pictures and pictures > 1:
        if kind == ".png":
            return open_video(path, every)
        whole = " -coalesce" if kind == ".webp" else ""  # A later picture may hold no more than what has changed.
        raise CaptureError(
            f"{path} holds {pictures} pictures, which are read from files of their own: save them as PNG into a folder (mkdir "
            f"frames && magick {shlex.quote(str(path))}{whole} frames/%04d.png) and name that folder"
        )
    if kind in CAMERA_KINDS:
        raise CaptureError(
            f"{path} is one photograph; name the folder of all of them ({path.absolute().parent}), or a pattern such as "
            f"'*{path.suffix}'"
        )
    return open_video(path, every)
