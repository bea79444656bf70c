"""A training runs inside this process, without viewer: nerfstudio's own Trainer under one line of progress."""

from __future__ import annotations

import copy
import hashlib
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from nerfstudio.utils.rich_utils import CONSOLE

from nerfsem_method import __version__
from nerfsem_method.files import writing
from nerfsem_method.plugin.checkpoint import newest
from nerfsem_method.plugin.config import NerfsemTrainerConfig
from nerfsem_method.plugin.trainer import NerfsemTrainer
from nerfsem_method.scene.scene import Scene


def train(config: NerfsemTrainerConfig, tell: Callable[[str], None] = print) -> Path:
    """Train as `ns-train` would, seeded likewise, and return the run's config.yml.

    A run that is there already, under the configuration's own timestamp, is taken up at its newest checkpoint, which `tell`
    hears, and a finished one is left as it is. Raises OutputError when the disk is full.
    """
    config.vis = "none"
    config.logging.local_writer.enable = False
    config.steps_per_save = config.max_num_iterations + 1  # the trainer's own checkpoints alone go on exactly
    config.set_timestamp()
    _seed(config.machine.seed)
    state = newest(config.get_checkpoint_dir())
    steps = config.max_num_iterations
    if state is not None:
        done = state["step"] + 1
        tell("the training is done already" if done >= steps else f"the training goes on after step {done} of {steps}")
        if done >= steps:
            return config.get_base_dir() / "config.yml"
    with _silenced(), writing(config.get_base_dir(), remedy="name another folder"):
        config.save_config()
        trainer: NerfsemTrainer = config.setup(local_rank=0, world_size=1)
        trainer.prepare()
        if state is not None:
            trainer.go_on(state)
        trainer.lead()
    return config.get_base_dir() / "config.yml"


def run_name(config: NerfsemTrainerConfig, scene: Scene) -> str:
    """Return a name that a training shares with those alone that come to the same result: of equal scene and configuration."""
    plain = copy.deepcopy(config)
    plain.data = plain.pipeline.datamanager.data = None
    plain.pipeline.datamanager.dataparser.data = plain.output_dir = Path()
    plain.experiment_name, plain.timestamp = None, ""
    pictures = [scene.root / name for frame in scene.frames for name in (frame.image, frame.matte)]
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in pictures]
    parts = (__version__, yaml.dump(plain), (scene.root / "scene.json").read_text(), str(stamps))
    return "run-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep nerfstudio's messages, and its and torch's deprecation notices, out of the progress display.

    They are not even made up: a path with brackets in it would be taken for markup.
    """
    for word in ("print", "log"):
        setattr(CONSOLE, word, _say_nothing)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(torch|torchvision|nerfstudio)\b")
            yield
    finally:
        for word in ("print", "log"):
            delattr(CONSOLE, word)


def _say_nothing(*_: Any, **__: Any) -> None:
    """Stand in the place of a console's words."""
