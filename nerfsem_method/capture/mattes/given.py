"""This module takes ready-made mattes over and keeps folders of mattes: one 8-bit soft matte for each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.media.matte_names import check_number, in_doubt, list_mattes, partners
from nerfsem_method.media.mattes import given_mattes
from nerfsem_method.media.naming import Naming
from nerfsem_method.media.pictures import quarter_turn, read_picture, write_picture

ASPECT_TOLERANCE = 0.02
"""A matte's aspect may differ from the frame's by this share, because sizes are rounded."""
MIN_COVERAGE = 0.002
"""A matte that covers a smaller share of its frame shows no object."""
MOST_BLACK = 0.25
"""Where a larger share of the mattes shows nothing, the others make no shape that all frames agree on."""
FEWEST_VIEWS = 20
"""A frame with fewer points on the object says nothing about its matte."""
AGREEMENT, AGREEMENT_OF_ONE = 0.965, 0.9
"""Mattes, and one of them, cover at least these shares of the object's points: right ones cover 0.99 in every frame, ones of the
frame before 0.956 in the median frame and fewer in most (measured on two clips of the vase)."""


def copy_mattes(
    folder: Path,
    target: Path,
    naming: Naming,
    size: tuple[int, int],
    advance: Advance,
    findings: Findings | None = None,
) -> list[str]:
    """Write ready-made mattes to `target`/000000.png ... at `size` (width, height), and return remarks about them.

    The `naming` is that of the frames. The clip's `findings` say which mattes are theirs, where the folder may hold those of
    others, too, and which frames have been turned to the left, as their mattes are then. Raises CaptureError on a wrong number
    of mattes, a wrong aspect, an unreadable file, what is no matte of one object, or many that show nothing.
    """
    import cv2

    files, count = list_mattes(folder), len(naming.numbers)
    chosen = findings.mattes(files) if findings else list(range(len(files)))
    own = [files[index] for index in chosen]
    by_name = findings is not None and partners(own, findings.names) is not None
    remarks = [] if by_name and len(own) == count else check_number(folder, files, len(files) if len(own) == count else count)
    remarks += in_doubt(own, findings.names) if findings is not None and findings.names else []
    given = given_mattes(folder, lambda done: advance(done, len(files) + count))
    black = []
    for index, position in enumerate(chosen):
        source, matte = given.files[position], given.read(position)
        own, lies = matte.shape[::-1], findings is not None and naming.numbers[index] in findings.turned
        matte = quarter_turn(matte) if lies else matte
        height, width = matte.shape
        if _differs(width, height, size):
            remedy = "" if _differs(height, width, size) else "; turn it by 90 degrees"
            shape = "photograph as it is shown" if lies else f"{size[0]}x{size[1]} frames"
            raise CaptureError(f"{source.name} is {own[0]}x{own[1]}: not the shape of the {shape}{remedy}")
        if (width, height) != size:
            matte = cv2.resize(matte, size, interpolation=cv2.INTER_AREA if width > size[0] else cv2.INTER_LINEAR)
        black += [index] * (matte.max() <= 127)
        write_matte(target, f"{index:06d}.png", matte)
        advance(len(files) + index + 1, len(files) + count)
    if len(black) > MOST_BLACK * count:
        raise CaptureError(
            f"the mattes of {naming.of_rows(black)} show no object, {len(black)} of {count}: give ones that do, or a "
            "clip without these frames"
        )
    return [*remarks, *given.remarks]


def _differs(width: int, height: int, size: tuple[int, int]) -> bool:
    return abs(width * size[1] - height * size[0]) > ASPECT_TOLERANCE * height * size[0]


def write_matte(target: Path, name: str, matte: np.ndarray) -> None:
    """Write one matte [H, W] uint8 into the folder `target`, under the name of its frame."""
    write_picture(target / name, matte)


def load_mattes(folder: Path, names: list[str] | None = None) -> np.ndarray:
    """Return the mattes of these names in a folder, by default all of them, [N, H, W] uint8."""
    paths = sorted(folder.glob("*.png")) if names is None else [folder / name for name in names]
    return np.stack([read_picture(path, grey=True) for path in paths])


def check_coverage(mattes: np.ndarray) -> np.ndarray:
    """Return the share of each frame that its matte covers [N]. Raises CaptureError if most frames show no object."""
    coverage = mattes.mean((1, 2)) / 255
    if np.median(coverage) < MIN_COVERAGE:
        raise CaptureError(
            f"no object found: the mattes cover {100 * np.median(coverage):.2f} % of the median frame; film the object "
            "larger, choose another --segmenter or give --mattes DIR"
        )
    return coverage


def disagreement(mattes: np.ndarray, model: SparseModel, naming: Naming) -> list[str]:
    """Return what is to be said where mattes [N, H, W] uint8 cut through points of the model that lie on the object or beside it.

    A point that most mattes take for the object is the object's in every frame; how well its matte knows that is the share of
    the points that both take for the object among those that either of the two does. The `naming` is that of the frames.
    """
    point, frame = model.views[:, 0].astype(int), model.views[:, 1].astype(int)
    height, width = mattes.shape[1:]
    column = (model.views[:, 2] * width / model.camera.width).astype(int).clip(0, width - 1)
    row = (model.views[:, 3] * height / model.camera.height).astype(int).clip(0, height - 1)
    inside = mattes[frame, row, column] > 127
    shown = mattes.any((1, 2))  # empty ones do not know where the object is, and do not make the others look wrong
    agreement, heard = _agreement(inside, point, frame, shown)
    usual = float(np.median(agreement[heard & shown])) if (heard & shown).any() else 1.0
    if usual < AGREEMENT:
        below, beside = height - 1 - row, width - 1 - column
        otherwise = {
            "turned by 180 degrees": (frame, below, beside),
            "mirrored": (frame, row, beside),
            "flipped top to bottom": (frame, below, column),
            "in reverse order": (len(mattes) - 1 - frame, row, column),
        }
        fitting = [way for way, place in otherwise.items() if _fits(mattes[place] > 127, point, frame)]
        if fitting:
            return [f"the mattes would fit the frames if they were {', or '.join(fitting)}: give them as the frames are"]
        return [
            f"the mattes do not move with the object ({100 * usual:.0f} % agreement in the median frame): are they of this clip, "
            "one for each of its frames, in their order, and along the object's outline?"
        ]
    doubtful = heard & (agreement < AGREEMENT_OF_ONE)
    agreement, heard = _agreement(inside, point, frame, ~doubtful)  # those beside a wrong one are right by all others
    wrong = np.flatnonzero(doubtful & heard & (agreement < AGREEMENT_OF_ONE)).tolist()
    return [f"the mattes of {naming.of_rows(wrong)} show something else than all others"] if wrong else []


def _fits(inside: np.ndarray, point: np.ndarray, frame: np.ndarray) -> bool:
    """Return whether views that lie `inside` mattes which are taken otherwise agree in most frames."""
    agreement, heard = _agreement(inside, point, frame, np.ones(frame.max() + 1, bool))
    return bool(heard.mean() > 0.5 and np.median(agreement[heard]) >= AGREEMENT)


def _agreement(inside: np.ndarray, point: np.ndarray, frame: np.ndarray, voters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how well each matte knows which points are the object's [N], and whether it has enough of these to say so [N] bool.

    Views [M] bool lie `inside` their matte or not, and are of a `point` in a `frame`; the frames that are `voters` [N] bool say
    where a point belongs, each to all others.
    """
    votes = voters[frame].astype(int)
    others = np.bincount(point, votes)[point] - votes
    for_object = np.bincount(point, votes * inside)[point] - votes * inside
    expected = np.where(others > 0, 2 * for_object > others, inside)
    either = np.bincount(frame, inside | expected, len(voters))
    return np.bincount(frame, inside & expected, len(voters)) / np.maximum(either, 1), either >= FEWEST_VIEWS
