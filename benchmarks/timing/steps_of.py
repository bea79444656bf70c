"""This script trains a little in whichever source the environment finds, and prints the milliseconds of a step as its last line.

`benchmarks.timing.steps` calls it for a newer and an older source, so that it imports nothing of this checkout, and uses no more
than both have: steps without the course's events, by a field of given levels with the heads of 675fc7b.

    python steps_of.py SCENE FOLDER STEPS LEVELS       where LEVELS are JSON: {"volume": [[16, 4], ...], "planes": [...]}
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

from nerfstudio.engine.trainer import Trainer

from nerfsem_method.field.spec import Level
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.training import train

NEVER = 2.0
"""An event at this share of the training does not come."""
QUIET = {
    "align_at": (), "agree_at": (), "measure_every": NEVER, "filter_steps": 0, "freeze_at": NEVER, "quantise_at": NEVER,
    "carve_from": NEVER, "prune_from": NEVER,
}  # fmt: skip


def main(scene: Path, folder: Path, steps: int, levels: dict[str, list[list[int]]]) -> None:
    """Train `steps` steps and print the median of the later half, in milliseconds."""
    config = trainer_config("standard")
    config.data = config.pipeline.datamanager.data = scene.resolve()
    config.output_dir, config.timestamp, config.max_num_iterations = folder.resolve(), "run", steps
    model = config.pipeline.model
    tables = {name: tuple(Level(*level) for level in own) for name, own in levels.items()}
    model.spec = replace(model.spec, width=32, color_layers=1, **tables)
    known = {field.name for field in fields(model.course)}
    model.course = replace(model.course, **{name: value for name, value in QUIET.items() if name in known})
    taken, step_of = [], Trainer.train_iteration

    def timed(self, step):
        started = time.perf_counter()
        result = step_of(self, step)
        taken.append((time.perf_counter() - started) * 1e3)
        return result

    Trainer.train_iteration = timed
    try:
        train(config)
    finally:
        Trainer.train_iteration = step_of
    print(statistics.median(taken[len(taken) // 2 :]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
