"""Frames of a film that a model puts aside, or leaves out, get the poses that the frames before and after them say.

Where a visitor fills the picture behind the object, or a wall shows more for a moment than the object does, most features of a
few frames agree with each other and with nothing else. The model follows them, and leaves the way of the other frames. So what
the frames beside them see is followed through such a stretch, from both of its ends, and believed where the two meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from nerfsem_method.capture.cameras.between import GOOD, Followed, Tracks, follow
from nerfsem_method.capture.cameras.gaps import between
from nerfsem_method.log import LOG
from nerfsem_method.media.naming import frames_text
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.scene.camera import Intrinsics, camera_centres, look_at_point

JUMP, LEAST_JUMP = 4.0, 2.0
"""A camera jumps where it goes so many times as far around what it looks at, from one frame to the next, as in the mean; it is no
jump below the second, in degrees."""
COMMON = 0.5
"""Two frames have little in common where they share less than this part of the points that neighbours usually share."""
HARDLY = 0.2
"""Two frames that have a smaller share in common than this may be parts that were put together anyhow. Films that are cut have 0
to 0.15 there, a visitor who fills the picture leaves 0.12; from one frame to the next of a moving camera it is 0.25 and more."""
ENOUGH, USUAL = 30, 0.4
"""Frames that show so many points of the object tell whether it stays where it is, where such frames usually share so much."""
AROUND = 4
"""Points of the object that so many frames before and after have in common show that it stays, too: where a shelf mirrors it, two
neighbours may lack nearly all of each other's points, and share .17, but .27 with those around them."""
OTHER_SIDES = 20.0
"""Where the camera goes so many degrees or more, an object shows other sides. Of livia's frames those less than 20 degrees apart
share .62 to .76 of the points on the head, those of 20 to 30 .21 to .75, those of 30 to 78 .08 to .60."""
LONGEST = 0.25
"""No more than this share of the frames lies aside: of two parts, neither is the stray one."""
AGREED = 4.0
"""Half-way the two ends meet within so many degrees; a model that is no further away from that stays as it is."""


def brought_back(
    frames: list[Path], known: dict[int, np.ndarray], points: dict[str, np.ndarray], cameras: Sequence[Intrinsics]
) -> tuple[dict[int, np.ndarray], dict[str, np.ndarray]]:
    """Return the poses by frame, and `points` ("positions", "colours", "views") without those that strays alone have seen.

    Each frame has one of the `cameras`. `known` has cam_from_world [3, 4] of the frames with a pose; a view is (point, frame, u,
    v). Where a stretch cannot be followed, it stays as it is, for a film may be cut. But where the camera jumps away and comes
    back, and saw nothing meanwhile that other frames see, there is no pose.
    """
    for way in stray_ways(known, points["views"]):
        found = _followed_from_both_ends(frames, known, way, points, cameras)
        posed = [frame for frame in way if frame in known]
        if found:
            right = [frame for frame in posed if _apart(found[frame].pose, known[frame]) < AGREED]
            changed = {frame: one for frame, one in found.items() if frame not in right or len(right) < len(posed)}
        elif _is_excursion(known, posed) and not _tied(points["views"], posed):
            changed = {}
        else:
            continue
        gone = [frame for frame in posed if frame in changed or not found]
        if changed or gone:
            LOG.info("%s: %s", frames_text(sorted(changed) or gone), "followed from both sides" if changed else "aside, no pose")
        known = {frame: pose for frame, pose in known.items() if frame not in gone}
        known.update((frame, one.pose) for frame, one in changed.items())
        kept = points["views"][~np.isin(points["views"][:, 1], gone)]
        points = _with_views(points, np.concatenate([kept, *(one.views(frame) for frame, one in changed.items())]))
    return known, points


def stray_ways(known: dict[int, np.ndarray], views: np.ndarray) -> list[range]:
    """Return the stretches of frames without a pose, or before and after which the camera jumps or frames have little in common.

    `known` has poses [3, 4] by frame, `views` [M, 4] are (point, frame, u, v).
    """
    frames = sorted(known)
    if len(frames) < 1 / LONGEST:
        return []
    common = _common(frames, views)
    breaks = np.flatnonzero(_jumps(known) | (common < COMMON * np.median(common)))
    ends: list[tuple[int, int]] = []
    for first, last in pairwise(breaks):
        if ends and ends[-1][1] == first + 1:  # One break is the end of both, which the way around must pass.
            first = ends.pop()[0]
        ends.append((first, last + 1))
    ends = [(first, last) for first, last in ends if last - first - 1 <= LONGEST * len(frames)]
    within = {index for first, last in ends for index in range(first, last)}
    gaps = [(i, i + 1) for i in range(len(frames) - 1) if i not in within and frames[i + 1] > frames[i] + 1]
    return [range(frames[first] + 1, frames[last]) for first, last in sorted(ends + gaps)]


def torn(frames: list[int], views: np.ndarray) -> list[int]:
    """Return those of the posed `frames`, ascending, that have hardly anything in common with the frame before."""
    if len(frames) < 2:
        return []
    common = _common(frames, views)
    hardly = (common < min(HARDLY, COMMON * np.median(common))) & (np.diff(frames) == 1)
    return [frames[index + 1] for index in np.flatnonzero(hardly)]


def moved(known: dict[int, np.ndarray], views: np.ndarray, on_object: np.ndarray) -> list[int]:
    """Return those of the frames, of which poses [3, 4] are `known`, from which on the object lies in another way than before.

    Hardly any of the points `on_object` [P] bool is seen AROUND that frame on both sides, while the surroundings go on and the
    camera goes no great way. What lies as before a few frames later was not moved.
    """
    frames = sorted(known)
    if len(frames) < 2:
        return []
    of_object = on_object[views[:, 0].astype(int)]
    beside, own = (_common(frames, views[chosen]) for chosen in (~of_object, of_object))
    shown = np.bincount(views[of_object, 1].astype(int), minlength=frames[-1] + 1)[frames] >= ENOUGH
    turned = (own < HARDLY) & shown[1:] & shown[:-1] & (beside > COMMON * np.median(beside)) & (np.diff(frames) == 1)
    turned &= (_steps(known) < OTHER_SIDES) & (_common(frames, views[of_object], AROUND) < HARDLY)
    return [frames[index + 1] for index in np.flatnonzero(turned)] if np.median(own) > USUAL else []


def _followed_from_both_ends(
    frames: list[Path], known: dict[int, np.ndarray], way: range, points: dict[str, np.ndarray], cameras: Sequence[Intrinsics]
) -> dict[int, Followed]:
    """Return a pose for all frames of a way; none where its two ends do not meet."""
    before, after = ([frame for frame in sorted(known) if side(frame)] for side in (way.start.__gt__, way[-1].__lt__))
    if len(before) < 2 or len(after) < 2:
        return {}
    tracks = Tracks.of(points["positions"], points["views"])
    ahead = _follow(frames, known, (before[-2], before[-1]), way, tracks, cameras)
    back = _follow(frames, known, (after[1], after[0]), way[::-1], tracks, cameras)
    middle = min(ahead.keys() & back.keys(), key=lambda frame: abs(2 * frame - way[0] - way[-1]), default=None)
    if middle is None or _apart(ahead[middle].pose, back[middle].pose) > AGREED:
        return {}
    shares = {frame: (number + 1) / (len(way) + 1) for number, frame in enumerate(way)}
    return {f: _either(ahead.get(f), back.get(f), share, tracks.positions, cameras[f]) for f, share in shares.items()}


def _either(
    ahead: Followed | None, back: Followed | None, share: float, positions: np.ndarray, camera: Intrinsics
) -> Followed:
    """Return what was followed from one end or, where both came so far, what lies at this share of the way between them.

    Errors add up on the way, so that the nearer end says more. What the other one sees and fits is seen, too: so both ends hang
    together.
    """
    if ahead is None or back is None:
        one = ahead or back
        assert one is not None
        return one
    pose, (nearer, other) = between(ahead.pose, back.pose, share), (ahead, back) if share < 0.5 else (back, ahead)
    off = np.linalg.norm(camera.project(positions[other.rows], pose)[0] - other.pixels, axis=1)
    new = (off < GOOD) & ~np.isin(other.rows, nearer.rows)
    return Followed(pose, np.append(nearer.rows, other.rows[new]), np.concatenate([nearer.pixels, other.pixels[new]]))


def _follow(
    frames: list[Path],
    known: dict[int, np.ndarray],
    last: tuple[int, int],
    way: range,
    tracks: Tracks,
    cameras: Sequence[Intrinsics],
) -> dict[int, Followed]:
    """Follow what the second of the `last` two frames before the `way` sees through the frames of that, as far as it goes."""
    found: dict[int, Followed] = {}
    before, at = last
    if at not in tracks.rows:
        return found
    was, seen = known[before], Followed(known[at], tracks.rows[at], tracks.pixels[at])
    picture = read_picture(frames[at], grey=True)
    for frame in way:
        into, onwards = read_picture(frames[frame], grey=True), 1 + (frame - at) / (at - before)
        answer = follow(seen, picture, into, tracks.positions, cameras[frame], between(was, seen.pose, onwards))
        if answer is None:
            break
        was, before, at, seen, picture = seen.pose, at, frame, answer, into
        found[frame] = seen
    return found


def _tied(views: np.ndarray, stretch: list[int]) -> bool:
    """Return whether most of what the frames of a stretch see is seen by others, too."""
    within = np.isin(views[:, 1], stretch)
    return not within.any() or np.isin(views[within, 0], views[~within, 0]).mean() > COMMON


def _is_excursion(known: dict[int, np.ndarray], stretch: list[int]) -> bool:
    """Return whether the camera jumps both before and after a stretch of frames, but not across it."""
    others = {frame: pose for frame, pose in known.items() if frame not in stretch}
    first, last = (sum(frame < end for frame in known) - 1 for end in (stretch[0], stretch[-1] + 1)) if stretch else (0, 0)
    jumps = _jumps(known)
    return bool(stretch and jumps[first] and jumps[last] and not _jumps(others)[first])


def _jumps(known: dict[int, np.ndarray]) -> np.ndarray:
    """Return whether the camera jumps from each frame to the next: [N - 1] bool."""
    steps = _steps(known)
    return (steps > JUMP * steps.mean()) & (steps > LEAST_JUMP)


def _steps(known: dict[int, np.ndarray]) -> np.ndarray:
    """Return by how many degrees the camera turns, or goes around what it looks at, from each frame to the next: [N - 1].

    Where frames in between have no pose, it is the mean of the way across.
    """
    frames = sorted(known)
    poses = np.stack([known[frame] for frame in frames])
    turns = [_apart(first, second) for first, second in pairwise(poses)]
    rays = camera_centres(poses) - look_at_point(poses)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    around = np.degrees(np.arccos((rays[1:] * rays[:-1]).sum(1).clip(-1, 1)))
    return np.maximum(turns, around) / np.diff(frames)


def _apart(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle in degrees between the rotations of two poses [3, 4]."""
    return float(np.degrees(np.arccos(np.clip((np.sum(first[:, :3] * second[:, :3]) - 1) / 2, -1, 1))))


def _common(frames: list[int], views: np.ndarray, around: int = 1) -> np.ndarray:
    """Return which share of the points that a frame sees the next one sees too, of the frame that sees fewer: [N - 1].

    On either side it may be `around` so many frames that see them.
    """
    order = np.argsort(views[:, 1], kind="stable")
    begins, ends = (np.searchsorted(views[order, 1], frames, side) for side in ("left", "right"))
    seen = views[order, 0]
    shared = []
    for last in range(len(frames) - 1):
        first, end = max(last + 1 - around, 0), min(last + around, len(frames) - 1)
        before, after = np.unique(seen[begins[first] : ends[last]]), np.unique(seen[begins[last + 1] : ends[end]])
        shared.append(len(np.intersect1d(before, after, assume_unique=True)) / max(min(len(before), len(after)), 1))
    return np.array(shared)


def _with_views(points: dict[str, np.ndarray], views: np.ndarray) -> dict[str, np.ndarray]:
    """Return points with other views, without those that no view has."""
    kept, rows = np.unique(views[:, 0].astype(int), return_inverse=True)
    return {
        **points,
        "positions": points["positions"][kept],
        "colours": points["colours"][kept],
        "views": np.column_stack([rows, views[:, 1:]]),
    }
