"""This module is COLMAP's process: `python -m nerfsem_method.capture.colmap.worker JOB.json`.

It and what it imports need pycolmap, NumPy and the standard library alone, so that a native abort, COLMAP's threads or its
memory never reach the caller. Progress goes to stdout as lines `stage done total`, COLMAP's own log to stderr.

It chooses the lenses by which a job is solved. Where several took the frames, or one that zooms, all is solved anew with a camera
for each frame, and those that are alike become one. Where a lens breathes, a solution goes on with a camera for each frame.
Where a film's turn stays open and tells no focal length, all is solved anew by a usual lens.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

from nerfsem_method.capture.colmap.job import HARDLY_TOLD, UNTIL, Job, tell
from nerfsem_method.capture.colmap.lenses import joined, parted, several_lenses
from nerfsem_method.capture.colmap.matching import extract
from nerfsem_method.capture.colmap.solution import save, usual_lens, zooms_of
from nerfsem_method.capture.colmap.solving import Solved, resumed, solve
from nerfsem_method.capture.colmap.support import HANDFUL, folded
from nerfsem_method.capture.colmap.zoom import Focal, measure_focal_length

MUCH_MORE = 1.1
"""Photographs keep focal lengths of their own where so many times as much is explained so: those of a head, 44 of which had a
camera with one focal length for all, 50 of 54 with their own, which go from 0.99 to 1.09 times the usual one in their order."""
ALMOST = 0.9
"""A solution that closes the turn is taken if it is worth so many times as much as one that does not."""
SAME = 0.02
"""A lens is the usual one if its focal length differs by a smaller share, whatever photographs say."""
FILM, HELD, PHOTOGRAPHS, AGAIN = (90, 95), 93, (70, 85), (97, 99)
"""So many percent of the way the first solution leads, and one with a lens for each frame where several are suspected: of a film
they seldom are, and of photographs sometimes. Between the two of a film comes one by a usual lens; the last are by few lenses."""


def by_lenses(job: Job, database: Path, found: Solved, focal: Focal) -> Solved:
    """Return a solution with a camera for each lens that took some of the frames, if that is better than one with fewer.

    A lens that zooms has no one focal length: where it is worth much more, each frame keeps its own, and where a film surely
    zooms, as `focal` says of what was `found`, and is not by a few lenses, if it is worth more. Where a film's lens focuses near
    and far alone, what was found goes on with a camera for each frame.
    """
    if found.model is None:
        return found
    if focal.breathes:
        tell(UNTIL, FILM[1], 100)
        near = usual_lens(found.model).focal_length
        return max(found, resumed(replace(job, each_own=True, focal=near), found), key=lambda one: one.worth)
    if not (focal.stretches if job.ordered else several_lenses(found.matcher, found.model)):
        return found
    tell(UNTIL, (FILM if job.ordered else PHOTOGRAPHS)[1], 100)
    own = solve(replace(job, each_own=True), database, found.matcher)
    best = max(found, by_few(own), key=lambda one: one.worth)
    return own if own.worth > (1 if job.ordered and best is found else MUCH_MORE) * best.worth else best


def by_few(own: Solved) -> Solved:
    """Return a solution with a camera for each of the few lenses that the focal lengths of `own`, one for each frame, tell apart.

    Lenses that settle alike are one, as long as no less is explained so. Without any to tell apart there is no model. The order
    of the frames that `own` has found stays.
    """
    few, zooms = replace(own, model=None), parted(own.model) if own.model is not None else {}
    job = replace(own.job, ordered=True, each_own=False, focal=None)
    for reached in AGAIN:
        tell(UNTIL, reached, 100)
        if not zooms:
            break
        now = solve(replace(job, zooms=zooms), own.matcher.path, own.matcher)
        if now.model is None or now.worth < few.worth:
            break
        few, before, zooms = now, zooms, joined(zooms, now.model)
        if len({*zooms.values()}) == len({*before.values()}):
            break
    return few


def by_usual_lens(job: Job, database: Path, found: Solved, focal: Focal) -> Solved:
    """Return a solution by a lens that is the usual one until the turn is closed, if that closes it.

    It is sought where what was `found` of a film neither closes the turn nor tells its focal length, as `focal` says. Little but
    the object and its mirror image on a glossy floor may fit a lens four times as long, and no other turn. A few pairs may agree
    by chance, and those of a model that is folded do, unless the other one is, too, as where mirror images are matched.
    """
    unsure = focal.evidence is not None and focal.evidence < HARDLY_TOLD
    if found.model is None or found.closures or not unsure or not job.ordered:
        return found
    tell(UNTIL, HELD, 100)
    aside = Path(copyfile(database, database.with_name("usual.db")))  # The other one keeps the matches of what was found.
    held = solve(replace(job, usual=True), aside, found.matcher)
    if held.model is None or held.closures < HANDFUL or held.worth < ALMOST * found.worth:
        return found
    worse = folded(aside, held.model, held.job.names) and not folded(database, found.model, held.job.names)
    return found if worse else held


def as_said(job: Job, database: Path) -> Solved:
    """Return a solution by the zooms that photographs say they have, or where that leaves something open the better of two.

    The other one does not believe them, and is taken where all lenses turn out to be the usual one.
    """
    said = solve(job, database)
    several = said.model is not None and any(abs(zoom - 1) > SAME for zoom in zooms_of(said.model).values())
    whole = said.model is not None and said.model.num_reg_images() == len(job.names)
    if said.model is not None and several and whole and not several_lenses(said.matcher, said.model):
        return said
    tell(UNTIL, (PHOTOGRAPHS[0] + PHOTOGRAPHS[1]) // 2, 100)
    unsaid = solve(replace(job, zooms={}), database, said.matcher)
    return max(said, unsaid, key=lambda one: one.worth) if several else unsaid


def _asked(job: Job, found: Solved) -> Focal:
    """Return what a solution says of its focal length."""
    tell("refinement", 1, 2)
    return measure_focal_length(job, found.model) if found.model is not None else Focal(None, [])


def main(job: Job) -> None:
    """Solve the cameras of a job and write the result into its work folder."""
    database = Path(job.work) / "database.db"
    said, job = job, replace(job, zooms={})
    if not job.object_alone:
        tell(UNTIL, (FILM if job.ordered else PHOTOGRAPHS)[0], 100)
    extract(job, database)
    found = as_said(said, database) if said.zooms else solve(job, database)
    focal = _asked(job, found)
    if not job.object_alone and (closed := by_usual_lens(job, database, found, focal)) is not found:
        found, focal = closed, _asked(job, closed)
    if not job.object_alone and (other := by_lenses(job, database, found, focal)) is not found:
        found, focal = other, _asked(job, other)
    if found.model is not None:
        found.model.extract_colors_for_all_images(job.images)
    save(job, found.model, found.motion, found.closures, focal, found.sense, found.island, found.matcher.burnt_in())


if __name__ == "__main__":
    main(Job.read(Path(sys.argv[1])))
