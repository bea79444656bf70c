"""A training runs inside this process, without viewer: nerfstudio's own Trainer under one line of progress."""

from __future__ import annotations

import copy
import hashlib
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from nerfstudio.utils.rich_utils import CONSOLE

from nerfsem_method import __version__
from nerfsem_method.log import LOG
from nerfsem_method.plugin.checkpoint import newest
from nerfsem_method.plugin.config import NerfsemTrainerConfig
from nerfsem_method.plugin.trainer import NerfsemTrainer
from nerfsem_method.scene.scene import Scene


def train(config: NerfsemTrainerConfig, go_on: bool = False) -> Path:
    """Train as `ns-train` would, seeded likewise, and return the run's config.yml.

    With `go_on`, a run that is there already is taken up at its newest checkpoint, and a finished one is left as it is.
    Raises OutputError when the disk is full.
    """
    config.vis = "none"
    config.logging.local_writer.enable = False
    config.set_timestamp()
    _seed(config.machine.seed)
    state = newest(config.get_checkpoint_dir()) if go_on else None
    with _silenced():
        config.save_config()
        if state is None or state["step"] + 1 < config.max_num_iterations:
            trainer: NerfsemTrainer = config.setup(local_rank=0, world_size=1)
            trainer.setup()
            if state is not None:
                LOG.info("training goes on after step %s", state["step"])
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
