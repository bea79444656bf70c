"""The methods nerfsem, nerfsem-quick, -archive and -paper are presets of configs/, each as nerfstudio's TrainerConfig.

nerfstudio loads this module unguarded at the start of every ns-* command, so it stays light.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.configs.base_config import MachineConfig, ViewerConfig
from nerfstudio.engine.optimizers import AdamOptimizerConfig
from nerfstudio.engine.schedulers import Scheduler, SchedulerConfig
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.pipelines.base_pipeline import VanillaPipelineConfig
from nerfstudio.plugins.types import MethodSpecification
from torch.optim.lr_scheduler import LambdaLR

from nerfsem_method.media.clip.clip import stem_of
from nerfsem_method.plugin import exporter
from nerfsem_method.plugin.datamanager import NerfsemDataManagerConfig
from nerfsem_method.plugin.model import NerfsemModelConfig
from nerfsem_method.plugin.pipeline import NerfsemPipeline
from nerfsem_method.plugin.trainer import NerfsemTrainer, ending_in_one_line
from nerfsem_method.training import presets
from nerfsem_method.training.grid_adam import GridAdam

METHODS = {"standard": "nerfsem", "quick": "nerfsem-quick", "archive": "nerfsem-archive", "paper": "nerfsem-paper"}
"""These presets are nerfstudio methods of their own; a run of any other preset counts as one of `nerfsem`."""


@dataclass
class DecaySchedulerConfig(SchedulerConfig):
    """The learning rate falls evenly over the whole training, to nothing.

    nerfstudio's own schedulers leave NumPy numbers in checkpoints, which torch.load refuses under weights_only.
    """

    _target: type = field(default_factory=lambda: DecayScheduler)
    max_steps: int = 1
    """The training has so many steps; NerfsemTrainerConfig sets it."""


class DecayScheduler(Scheduler):
    """Turn a DecaySchedulerConfig into a scheduler of torch."""

    config: DecaySchedulerConfig

    def get_scheduler(self, optimizer: torch.optim.Optimizer, lr_init: float) -> LambdaLR:
        """Return factors of the optimizer's own learning rate, from 1 at step 0 to 0 at `max_steps` and after."""
        return LambdaLR(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """Return the share of the learning rate at a step, a Python float."""
        return max(1 - step / self.config.max_steps, 0.0)


@dataclass
class FusedAdamConfig(AdamOptimizerConfig):
    """Adam goes over each parameter in one pass: torch's plain one takes several times as long for many small tensors."""

    betas: tuple[float, float] = (0.9, 0.99)
    """The moments keep these shares of themselves from step to step."""
    eps: float = 1e-15
    """This is added to the root of the second moment."""
    fused: bool = True
    """Whether torch's fused implementation is used."""


@dataclass
class GridAdamConfig(FusedAdamConfig):
    """Adam for the tables, see `training.grid_adam`."""

    _target: type = field(default_factory=lambda: GridAdam)


@dataclass
class NerfsemPipelineConfig(VanillaPipelineConfig):
    """This is VanillaPipeline's configuration with our types."""

    _target: type = field(default_factory=lambda: NerfsemPipeline)
    datamanager: NerfsemDataManagerConfig = field(default_factory=NerfsemDataManagerConfig)
    model: NerfsemModelConfig = field(default_factory=NerfsemModelConfig)

    def setup(self, **kwargs: Any) -> Any:
        """Make the pipeline; bad input ends the command in one line, where nerfstudio's would print a traceback.

        A trainer, which alone has a scaler of gradients, sees to that itself.
        """
        with nullcontext() if "grad_scaler" in kwargs else ending_in_one_line():
            return super().setup(**kwargs)


@dataclass
class NerfsemTrainerConfig(TrainerConfig):
    """This TrainerConfig names a run after its video, and lets the learning rates fall over the steps asked for."""

    _target: type = field(default_factory=lambda: NerfsemTrainer)
    pipeline: NerfsemPipelineConfig = field(default_factory=NerfsemPipelineConfig)
    vis: Literal[
        "viewer", "tensorboard", "wandb", "comet", "viewer+tensorboard", "viewer+wandb", "viewer+comet", "none"
    ] = "viewer"
    """Where to watch the training; none ends the command when the training ends."""

    def set_experiment_name(self) -> None:
        """Name it outputs/relic/... for relic.mp4, relic.nsem or relic/*.JPG, wherever that lies; or do as nerfstudio does."""
        data = self.data or self.pipeline.datamanager.data
        if self.experiment_name is None and data is not None:
            self.experiment_name = stem_of(Path(data).resolve()).strip(".") or "unnamed"  # ".." would lead elsewhere
        super().set_experiment_name()

    def setup(self, **kwargs: Any) -> Any:
        """Make the trainer."""
        for group in self.optimizers.values():
            group["scheduler"].max_steps = self.max_num_iterations
        return super().setup(**kwargs)


def trainer_config(preset: str) -> NerfsemTrainerConfig:
    """Return a fresh configuration of a preset. Raises NerfsemError when there is no such preset."""
    recipe = presets.load(preset)
    rates = recipe.learning_rates
    optimizers = {
        group: {
            "optimizer": (GridAdamConfig if group == "grids" else FusedAdamConfig)(lr=float(rate)),
            "scheduler": DecaySchedulerConfig(max_steps=recipe.steps),
        }
        for group, rate in (("grids", rates.grids), ("heads", rates.heads), ("contexts", rates.contexts))
    }
    return NerfsemTrainerConfig(
        method_name=METHODS.get(preset, "nerfsem"),
        max_num_iterations=recipe.steps,
        steps_per_save=500,
        mixed_precision=False,
        machine=MachineConfig(device_type="cuda" if torch.cuda.is_available() else "cpu"),
        viewer=ViewerConfig(num_rays_per_chunk=1 << 14, max_num_display_images=60),
        pipeline=NerfsemPipelineConfig(
            datamanager=NerfsemDataManagerConfig(
                train_num_rays_per_batch=recipe.rays, eval_num_rays_per_batch=recipe.rays
            ),
            model=NerfsemModelConfig(spec=recipe.field, **recipe.model),
        ),
        optimizers=optimizers,
    )


def _method(preset: str) -> MethodSpecification:
    return MethodSpecification(trainer_config(preset), presets.load(preset).description)


nerfsem = _method("standard")
nerfsem_quick = _method("quick")
nerfsem_archive = _method("archive")
nerfsem_paper = _method("paper")
exporter.register()
