"""A training runs inside this process, without viewer: nerfstudio's own Trainer under one progress bar."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nerfstudio.engine.trainer import Trainer
from nerfstudio.utils import writer
from nerfstudio.utils.rich_utils import CONSOLE
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nerfsem_method.plugin.config import NerfsemTrainerConfig


class ProgressWriter(writer.Writer):
    """This event writer of nerfstudio's shows steps, speed, loss and estimated size on a progress bar."""

    def __init__(self, bar: Progress, steps: int) -> None:
        self._bar = bar
        self._task = bar.add_task("Training", total=steps, facts="")
        self._facts: dict[str, str] = {}

    def write_scalar(self, name: str, scalar: float | torch.Tensor, step: int) -> None:
        """Take every scalar of a step from nerfstudio."""
        if name == "Train Loss":
            self._facts["loss"] = f"loss {torch.as_tensor(scalar).item():.5f}"
        task = self._bar.tasks[self._task]
        if task.speed:
            self._facts["speed"] = f"{task.speed:.1f} steps/s"
        # the last report of a training counts one step more
        completed = min(step + 1, int(task.total or 0))
        self._bar.update(self._task, completed=completed, facts="  ".join(self._facts.values()))

    def write_scalar_dict(self, name: str, scalar_dict: dict[str, Any], step: int) -> None:
        """Take the model's metrics from nerfstudio."""
        if name == "Train Metrics Dict":
            self._facts["psnr"] = f"{torch.as_tensor(scalar_dict['psnr']).item():.1f} dB"
            self._facts["size"] = f"{torch.as_tensor(scalar_dict['kilobytes']).item():.1f} kB"

    def write_image(self, name: str, image: torch.Tensor, step: int) -> None:
        """Take no evaluation image: this run has none."""

    def write_config(self, name: str, config_dict: dict[str, Any], step: int) -> None:
        """Take no configuration: the run's config.yml holds it."""


def train(config: NerfsemTrainerConfig) -> Path:
    """Train as `ns-train` would, seeded likewise, and return the run's config.yml."""
    config.vis = "none"
    config.logging.local_writer.enable = False
    config.set_timestamp()
    _seed(config.machine.seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
    with _silenced():
        config.save_config()
        trainer: Trainer = config.setup(local_rank=0, world_size=1)
        trainer.setup()
        with Progress(*columns, TimeRemainingColumn()) as bar:
            shown = ProgressWriter(bar, config.max_num_iterations)
            writer.EVENT_WRITERS.append(shown)
            try:
                trainer.train()
            finally:
                writer.EVENT_WRITERS.remove(shown)
    return config.get_base_dir() / "config.yml"


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep nerfstudio's messages, and its and torch's deprecation notices, out of the progress display."""
    quiet, CONSOLE.quiet = CONSOLE.quiet, True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(torch|torchvision|nerfstudio)\b")
            yield
    finally:
        CONSOLE.quiet = quiet
