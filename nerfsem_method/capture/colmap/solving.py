"""This module solves the frames of a job: a first model, in the clip's order or one that is found, whose turn is closed.

Pairs are chosen here, not by COLMAP, whose pairings compare opposite sides of the object, which look alike on a turned vase.
Nearby frames in the clip's order are matched first, photographs that lie in none in an order by what they show, and frames
that this leaves out with those that look most like them. Once a first model stands, frames that it puts close together (a closed
turn, a second turn) are matched too, and kept only where the second frame, posed by the points that the first one sees, agrees
with the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pycolmap

from nerfsem_method.capture.colmap import pairs
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.lenses import give_lenses
from nerfsem_method.capture.colmap.mapping import (
    DRIFTING,
    TIED,
    adopt,
    better,
    map_by_and_by,
    map_frames,
    refine,
    settle,
    taken_over,
)
from nerfsem_method.capture.colmap.matching import Matcher
from nerfsem_method.capture.colmap.posing import drop_disagreeing
from nerfsem_method.capture.colmap.solution import poses_of
from nerfsem_method.capture.colmap.support import apart, explained

SENSE = 0.72
"""Photographs whose model makes points of a smaller share of their matches may lie in no order: right models make .74 of them and
more, one of 60 photographs of a vase in an order drawn by lot .40, and one of 24 .62, and yet these had 58 and 24 of them."""
ISLAND = 0.25
"""A model that loses such a share of its frames when it settles had two parts, which nothing held together."""
LOOKS = 2
"""A model is looked through for closures so many times at most: each that is found straightens it and shows more."""


@dataclass(frozen=True)
class First:
    """A first model, and the job and matcher in whose order of frames it was made; the model is None where there is none."""

    job: Job
    matcher: Matcher
    model: pycolmap.Reconstruction | None


def first_model(job: Job, matcher: Matcher) -> First:
    """Make a model of the frames by their order and, where this leaves frames out, by what they show."""
    first = _in_some_order(job, matcher)
    job, matcher, model = first.job, first.matcher, first.model
    if not _match_alike(job, matcher, model):
        return first
    model = better(model, map_frames(job, matcher.path, "second"))
    if model is not None:
        adopt(job, matcher.path, model)
    return replace(first, model=model)


def _match_alike(job: Job, matcher: Matcher, model: pycolmap.Reconstruction | None) -> bool:
    """Match the frames that a model leaves out with those that look most like them, and return whether there are any."""
    known = poses_of(job, model) if model is not None else {}
    lost = [frame for frame in range(len(job.names)) if frame not in known]
    alike = pairs.alike(matcher.largest(), lost, job.reach)
    if alike:
        matcher.match(alike, "pairs")
    return bool(alike)


def _in_some_order(job: Job, matcher: Matcher) -> First:
    """Return the model of the frames in a video's own order, and of photographs in that of their names or of what they show.

    Where the first of these makes no sense, the second one is tried, and the one that makes more sense is taken; the order of
    what they show is the first where they were drawn by lot. Pairs of opposite sides, which a wrong order compares, have matches,
    too, so none are kept of the other order.
    """
    if job.ordered:
        return _modelled(job, matcher, "first")
    taken = last = _by_likeness(job, matcher) if job.drawn else _modelled(job, matcher, "first")
    sense = _sense(taken)
    if sense < SENSE:
        taken.matcher.forget()
        last = _modelled(job, matcher, "first") if job.drawn else _by_likeness(job, matcher)
        taken = last if _sense(last) > sense else taken
    if taken is not last:
        taken.matcher.forget()
        taken.matcher.match(pairs.sequential_pairs(len(job.names)), "pairs")
    return taken


def _by_likeness(job: Job, matcher: Matcher) -> First:
    """Return the model in an order that is found by what frames show."""
    way = pairs.by_likeness(matcher.common())
    ordered = replace(job, names=[job.names[frame] for frame in way])
    return _modelled(ordered, Matcher(ordered, matcher.path, matcher), "ordered")


def _modelled(job: Job, matcher: Matcher, attempt: str) -> First:
    """Return the model of the frames in the job's order."""
    matcher.match(pairs.sequential_pairs(len(job.names), job.reach), "pairs")
    return First(job, matcher, map_frames(job, matcher.path, attempt))


def _sense(first: First) -> float:
    return explained(first.matcher.path, first.model) if first.model is not None else 0.0


def close(job: Job, matcher: Matcher, model: pycolmap.Reconstruction) -> tuple[pycolmap.Reconstruction, int]:
    """Tie the model's ends together where it comes back to where it was, and return it with the number of pairs that do.

    Seen by another lens than the usual one, an object that turns alone comes back elsewhere: where no pair agrees, the focal
    length is freed, and that model is kept if it closes.
    """
    count = _tie(job, matcher, model)
    if job.held and not count:
        freed = pycolmap.Reconstruction(model)
        refine(job, matcher.path, freed, DRIFTING, closed=True)
        count = _tie(job, matcher, freed)
        model = freed if count else model
    settle(job, matcher.path, model, closed=bool(count))
    return model, count


def rejoined(
    job: Job, matcher: Matcher, first: pycolmap.Reconstruction, model: pycolmap.Reconstruction
) -> tuple[pycolmap.Reconstruction, int] | None:
    """Return a closed model with the island that `model` lost of its `first` state, and its closures; None if there is none.

    Where a film breaks off for a moment, mappers put its two parts anywhere. The end of a turn often looks like its beginning,
    which ties the two together.
    """
    if first.num_reg_images() - model.num_reg_images() < ISLAND * len(job.names) or not _match_alike(job, matcher, model):
        return None
    whole = map_frames(job, matcher.path, "islands")
    again = close(job, matcher, whole) if whole is not None else None
    return again if again and again[0].num_reg_images() > model.num_reg_images() else None


def _tie(job: Job, matcher: Matcher, model: pycolmap.Reconstruction) -> int:
    """Match what the model puts close together, straighten it by the pairs that agree with it, and return their number."""
    closures: set[tuple[int, int]] = set()
    for _ in range(LOOKS):
        chosen = sorted(set(pairs.closing_pairs(poses_of(job, model), len(job.names), job.reach)) - closures)
        matcher.match(chosen, "closures")
        agreeing = drop_disagreeing(matcher, chosen, model)
        if not agreeing:
            break
        closures.update(agreeing)
        refine(job, matcher.path, model, TIED, closed=True)
    return len(closures)


@dataclass(frozen=True)
class Solved:
    """A model that was closed where its turn is, the order of its job, and what is known of it; the model is None without one.

    `motion` is the median of features between frames, in pixels, see `Matcher.median_motion`.
    """

    job: Job
    matcher: Matcher
    model: pycolmap.Reconstruction | None
    closures: int = 0
    sense: float = 0.0
    island: float = 0.0
    motion: float | None = None

    @property
    def worth(self) -> float:
        """Return how many frames have a pose, times the share of their matches that the model explains."""
        return self.sense * self.model.num_reg_images() if self.model is not None else 0.0


def solve(job: Job, database: Path, earlier: Matcher | None = None) -> Solved:
    """Match and map the frames of a job whose features lie in the database, with a camera for each of its lenses.

    An `earlier` matcher has done so with other cameras.
    """
    give_lenses(job, database)
    matcher = Matcher(job, database, earlier)
    matcher.forget()
    first = first_model(job, matcher)
    whole = first.model
    if whole is None:
        return Solved(first.job, first.matcher, None, motion=first.matcher.median_motion())
    found = _judged(first, *close(first.job, first.matcher, pycolmap.Reconstruction(whole)))
    if found.model is not None and (again := rejoined(first.job, first.matcher, whole, found.model)):
        return _judged(first, *again)
    return found


def resumed(job: Job, found: Solved) -> Solved:
    """Go on with a model that was `found`, with a camera for each of the job's lenses, which are nearly the one it has.

    All matches stay. Where the model leaves frames out, the incremental mapper has a try with these cameras, too.
    """
    assert found.model is not None
    database = found.matcher.path
    give_lenses(job, database)
    matcher = found.matcher.by_other_cameras(job)
    model = taken_over(job, database, found.model)
    if model.num_reg_images() < len(job.names):
        _match_alike(job, matcher, model)
        model = better(model, map_by_and_by(job, database, "resumed")) or model
        adopt(job, database, model)
    return _judged(First(job, matcher, model), *close(job, matcher, model))


def _judged(first: First, model: pycolmap.Reconstruction, closures: int) -> Solved:
    """Judge a model by which share of the matches it explains, and which share of the frames that it lacks hangs together."""
    database = first.matcher.path
    sense = explained(database, model, posed_alone=True)
    island = apart(database, model, len(first.job.names))
    return Solved(first.job, first.matcher, model, closures, sense, island, first.matcher.median_motion())
