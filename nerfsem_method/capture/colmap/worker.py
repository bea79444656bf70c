"""This module is COLMAP's process: `python -m nerfsem_method.capture.colmap.worker JOB.json`.

It and what it imports need pycolmap, NumPy and the standard library alone, so that a native abort, COLMAP's threads or its
memory never reach the caller. Progress goes to stdout as lines `stage done total`, COLMAP's own log to stderr.

Pairs are chosen here, not by COLMAP: 3.13 takes no pair list for matching, and its exhaustive and quadratic pairings
compare opposite sides of the object, which look alike on a turned vase. Nearby frames in video order are matched
first; once a first model stands, frames that it puts close together (a closed turn, a second turn) are matched too,
and kept only where the second frame, posed by the points that the first one sees, agrees with the model. Of a long clip the
model is made of keyframes; the frames between are posed against it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from nerfsem_method.capture.colmap import pairs
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.mapping import map_frames, refine
from nerfsem_method.capture.colmap.matching import Matcher, extract
from nerfsem_method.capture.colmap.posing import drop_disagreeing, pose_others
from nerfsem_method.capture.colmap.solution import poses_of, save, solution_of


def main(job: Job) -> None:
    """Solve the cameras of a job and write the result into its work folder."""
    database = Path(job.work) / "database.db"
    extract(job, database)
    keys = replace(job, names=[job.names[i] for i in job.keys])
    matcher = Matcher(keys, database)
    matcher.match(pairs.sequential_pairs(len(keys.names)), "matches")
    model, found = map_frames(keys, database), None
    closures = 0
    if model is not None:
        if job.masks:  # a first model of the object alone bends: ends that meet would be taken for others
            refine(keys, database, model, closed=False)
        closing = pairs.closing_pairs(poses_of(keys, model), len(keys.names))
        matcher.match(closing, "closure")
        closures = drop_disagreeing(matcher, closing, model)
        refine(keys, database, model, closed=closures > 0)
        model.extract_colors_for_all_images(job.images)
        found = solution_of(job, model)
        pose_others(job, matcher, model, found)
    save(job, model, found, matcher.median_motion(), closures)


if __name__ == "__main__":
    main(Job.read(Path(sys.argv[1])))
