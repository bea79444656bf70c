"""This module is COLMAP's process: `python -m nerfsem_method.capture.colmap.worker JOB.json`.

It and what it imports need pycolmap, NumPy and the standard library alone, so that a native abort, COLMAP's threads or its
memory never reach the caller. Progress goes to stdout as lines `stage done total`, COLMAP's own log to stderr.

Pairs are chosen here, not by COLMAP, whose pairings compare opposite sides of the object, which look alike on a turned vase.
Nearby frames in the clip's order are matched first; once a first model stands, frames that it puts close together (a closed turn,
a second turn) are matched too, and kept only where the second frame, posed by the points that the first one sees, agrees with
the model.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nerfsem_method.capture.colmap import pairs
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.mapping import map_frames, refine, triangulate
from nerfsem_method.capture.colmap.matching import Matcher, extract
from nerfsem_method.capture.colmap.posing import drop_disagreeing
from nerfsem_method.capture.colmap.solution import poses_of, save


def main(job: Job) -> None:
    """Solve the cameras of a job and write the result into its work folder."""
    database = Path(job.work) / "database.db"
    extract(job, database)
    matcher = Matcher(job, database)
    matcher.match(pairs.sequential_pairs(len(job.names)), "pairs")
    model = map_frames(job, database, "first")
    closures = 0
    if model is not None:
        if job.object_alone:  # A first model of the object alone bends: ends that meet would be taken for others.
            refine(job, database, model, closed=False)
        else:
            triangulate(job, database, model)
        closing = pairs.closing_pairs(poses_of(job, model), len(job.names))
        matcher.match(closing, "closures")
        closures = drop_disagreeing(matcher, closing, model)
        refine(job, database, model, closed=closures > 0)
        model.extract_colors_for_all_images(job.images)
    save(job, model, matcher.median_motion(), closures)


if __name__ == "__main__":
    main(Job.read(Path(sys.argv[1])))
