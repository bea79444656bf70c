"""The radiance field is a nerfstudio model here: rays in, colours and losses out. The formulas live in `training`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.scene_box import OrientedBox
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.models.base_model import Model, ModelConfig
from nerfstudio.utils.misc import step_check
from torch import Tensor
from torch.nn import Parameter

from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.evaluation.decoded import DecodedFrames
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.plugin import views
from nerfsem_method.plugin.agreed import AgreedMattes
from nerfsem_method.plugin.backdrop import Backdrop
from nerfsem_method.plugin.datamanager import NerfsemDataManager
from nerfsem_method.plugin.dataparser import world_scale
from nerfsem_method.plugin.panel import Panel
from nerfsem_method.plugin.quality import FrameQuality
from nerfsem_method.plugin.scene_hull import scene_hull
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.backend import Choice, choose
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.conductor import Conductor, TrainingClip
from nerfsem_method.training.course import Course
from nerfsem_method.training.derived import Derived
from nerfsem_method.training.goal import Goal
from nerfsem_method.training.grid_adam import GridAdam
from nerfsem_method.training.objective import Prediction, losses, psnr_over_white
from nerfsem_method.training.options import PaperOptions
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.rate_control import RateControl
from nerfsem_method.training.snapshot import snapshot

FIRST_RAYS, FEWEST_RAYS, MOST_RAYS = 1024, 256, 1 << 14
"""A training begins with so many rays a step; then the sample budget asks for some number between the other two."""
FASTEST_GROWTH = 1.5
"""The number of rays grows at most by this factor from step to step."""


@dataclass
class NerfsemModelConfig(ModelConfig):
    """The configuration says what the field is and how it is trained; presets fill it in."""

    _target: type = field(default_factory=lambda: NerfsemModel)
    spec: FieldSpec = field(default_factory=lambda: FieldSpec((Level(16, 2), Level(32, 2)), (Level(64, 1),)))
    """Shapes of the field's tables and heads."""
    course: Course = field(default_factory=Course)
    """When each stage of training comes."""
    rate_weight: float = 2e-8
    """lambda: mean squared error (colours in [0, 1], mean over all pixels of the video) that one byte may save."""
    backend: Choice = "auto"
    """On CUDA the field runs by tcnn (tiny-cuda-nn), in Triton kernels or in plain torch; auto takes Triton where it is there."""
    paper: PaperOptions = PaperOptions()
    """The paper's knobs, where they are to differ from the fields above."""
    target_bytes: float | None = None
    """The finished FP bundle should have so many bytes; lambda is steered from `rate_weight` on to meet that."""
    target_psnr: float | None = None
    """The finished bundle should have this PSNR-CENTER in dB, instead of a size."""
    head_bits: int = 7
    """The largest weight of a head's tensor has so many bits."""
    sample_budget: int = 49152
    """A training step has so many samples; the number of rays follows."""
    eval_num_rays_per_chunk: int = 1 << 14
    """So many rays are rendered at a time outside training."""
    enable_collider: bool = False
    """Whether what `collider_params` leave out is not shown; the training takes no notice."""

    def new_field(self, hull: np.ndarray) -> RadianceField:
        """Return an untrained field within a hull [G, G, G] bool. Raises NerfsemError for a field that no bundle may hold."""
        self.paper.check(self.spec)
        return RadianceField(self.paper.field(self.spec), hull, self.head_bits, self.paper.context_levels)

    @property
    def goal(self) -> Goal | None:
        """Return what the finished bundle should measure, None if nothing is asked for. Raises NerfsemError for two goals."""
        if self.target_bytes is None and self.target_psnr is None:
            return None
        return Goal(self.target_bytes, self.target_psnr)

    @property
    def first_rate_weight(self) -> float:
        """Return lambda as it is at first, in our unit."""
        given = self.paper.rate_weight(self.spec)
        return self.rate_weight if given is None else given


class NerfsemModel(Model):
    """A binary radiance field of one object, its cameras and its rate."""

    config: NerfsemModelConfig
    rate_weight: Tensor
    _conductor: Conductor | None
    _candidate_share: float
    _told: dict[str, Tensor]

    def populate_modules(self) -> None:
        """Build the field inside the scene's visual hull."""
        super().populate_modules()
        choose(self.config.backend)
        scene: Scene = self.kwargs["metadata"]["scene"]
        hull = scene_hull(scene, self.config.spec.occupancy)
        self.field = self.config.new_field(hull)
        self.cameras = CameraPath(scene.camera, scene.poses, zooms=scene.zooms)
        self._world_scale = world_scale(scene)
        self._video, self._backdrop = scene.video, Backdrop.of(scene.bundle)
        whole = self._backdrop is not None
        self.panel = Panel(scene, whole, self.stored)
        self.register_buffer("rate_weight", torch.tensor(self.config.first_rate_weight, dtype=torch.float64))
        self._conductor = None
        self._weight: Derived[float] = Derived()
        self._tells, self._told = True, {}
        self._candidate_share = 1.0
        self.decoded: DecodedFrames | None = None  # ns-eval measures these, where they are given, in place of renderings
        self._quality = FrameQuality()
        self._rays, self._most_rays = FIRST_RAYS, MOST_RAYS

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """Return the real parameters of the tables, the heads, the context models."""
        return {
            "grids": [self.field.grids.theta],
            "heads": list(self.field.heads.parameters()),
            "contexts": list(self.field.rate.parameters()),
        }

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        """Return one callback: before each step, the conductor acts on the course."""
        trainer = attributes.trainer
        assert trainer is not None and attributes.pipeline is not None
        datamanager, config = attributes.pipeline.datamanager, self.config
        assert isinstance(datamanager, NerfsemDataManager)
        self._candidate_share = datamanager.candidate_share
        self._most_rays = datamanager.config.train_num_rays_per_batch
        indices, frames = datamanager.train_dataset.frame_indices, datamanager.frames_rgba
        mattes = AgreedMattes(self.kwargs["metadata"]["scene"], indices, frames)
        windows = [self.kwargs["metadata"]["scene"].frames[index].window for index in indices.tolist()]
        clip = TrainingClip(self._video, frames, indices, windows, mattes.keep, mattes.take)
        goal = config.goal
        control = None if goal is None else RateControl(goal, config.first_rate_weight)
        conductor = Conductor(
            self.field, self.cameras, self.rate_weight, config.course, trainer.config.max_num_iterations, clip,
            control, config.paper.density_threshold if config.paper.occupancy_by == "density" else None,
        )  # fmt: skip
        self._conductor = conductor
        optimizer = trainer.optimizers.optimizers["grids"]
        clipped = trainer.optimizers.config["grids"]["optimizer"].max_norm is not None
        if isinstance(optimizer, GridAdam) and not (clipped or trainer.config.log_gradients or trainer.use_grad_scaler):
            optimizer.serve(self.field.grids)

        def before(step: int) -> None:
            conductor.before(step)
            datamanager.rays = self._rays
            self._tells = step_check(step, trainer.config.logging.steps_per_log, run_at_zero=True)

        return [TrainingCallback([TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], before)]

    def stored(self) -> Bundle:
        """Return what an FP bundle would hold of the model as it is, not rounded and without a filter."""
        return snapshot(self.field, self.cameras, self._video)

    def memory(self) -> dict[str, Any]:
        """Return what a checkpoint needs besides parameters and buffers, so that a training goes on exactly."""
        return {"rays": self._rays, **(self._conductor.memory() if self._conductor else {})}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take over what `memory` returned in a training."""
        assert self._conductor is not None
        self._rays = memory["rays"]
        self._conductor.remember(memory)

    def get_outputs(self, ray_bundle: RayBundle) -> dict[str, Any]:
        """Render rays, in training as many of them as the sample budget allows.

        "prediction" is a Prediction, the same in training and in evaluation; what else there is, `views.look` says.
        """
        if self.training:
            return {"prediction": self._predict(ray_bundle)}
        field = self.panel.field(self.field)
        return self.panel.dressed(views.look(field, self.cameras, self._world_scale, ray_bundle, self._backdrop))

    def get_outputs_for_camera(self, camera: Cameras, obb_box: OrientedBox | None = None) -> dict[str, Any]:
        """Render a camera's picture, [H, W, ...]; while decoded frames are measured, return its decoded frame alone."""
        if self.decoded is None:
            return super().get_outputs_for_camera(camera, obb_box)
        assert camera.metadata is not None
        frame = self.decoded.over_white(int(camera.metadata["frame"].flatten()[0]))
        return {"rgb": torch.from_numpy(frame) / 255}

    def get_rgba_image(self, outputs: dict[str, Tensor], output_name: str = "rgb") -> Tensor:
        """Return straight RGBA [..., 4] of outputs of `get_outputs`."""
        if output_name != "rgb":
            return super().get_rgba_image(outputs, output_name)
        return views.straight(outputs["rgb"], outputs["accumulation"])

    def _predict(self, ray_bundle: RayBundle) -> Prediction:
        """Render jittered rays of the refined cameras, estimate the rate, and settle the number of rays."""
        assert ray_bundle.camera_indices is not None
        frames = ray_bundle.camera_indices[: self._rays, 0]
        viewing = ray_bundle.metadata["viewing"][: self._rays]
        step = self.field.step(*self.cameras.rays_along(frames, viewing), self.config.course.rate_samples, self._tells)
        growth = min(self.config.sample_budget / max(len(step.samples.rays), 1), FASTEST_GROWTH)
        self._rays = int(min(max(self._rays * growth, FEWEST_RAYS), self._most_rays))
        return views.prediction(step.rendering, self.cameras.colors[frames], step.bits)

    def get_loss_dict(self, outputs: dict[str, Any], batch: dict[str, Any], metrics_dict=None) -> dict[str, Tensor]:
        """Return the terms of the loss, see `training.objective.losses`."""
        prediction: Prediction = outputs["prediction"]
        bit_weight = 0.0
        if self._conductor is not None and self._conductor.rates:
            # rays are drawn from a share of the pixels, the others have no error: MSE over the video = share * MSE
            bit_weight = self._weight.of(self.rate_weight.item, self.rate_weight) / self._candidate_share / 8
        return losses(prediction, self._target(batch, prediction), self.config.course.sharpness, bit_weight)

    def get_metrics_dict(self, outputs: dict[str, Any], batch: dict[str, Any]) -> dict[str, Tensor]:
        """Return the PSNR over white of the batch's rays and, in training, the kilobytes that an FP bundle would have now.

        Between the steps of a training that nerfstudio tells of, they are those of the last one: a GPU would wait for them.
        """
        prediction: Prediction = outputs["prediction"]
        conductor, bits = self._conductor, prediction.bits
        if conductor is not None and bits is not None and not self._tells:  # nor are the bits an estimate then
            return dict(self._told)
        metrics = {"psnr": psnr_over_white(prediction, self._target(batch, prediction))}
        if conductor is not None and bits is not None:
            metrics["kilobytes"] = torch.tensor(conductor.kilobytes(bits.item()))
            self._told = dict(metrics)
        self.panel.hear(metrics, self.rate_weight)
        return metrics

    def _target(self, batch: dict[str, Any], prediction: Prediction) -> Tensor:
        """Return the straight RGBA [R, 4] of the rays that were rendered."""
        return batch["image"][: len(prediction.color)].to(self.device)

    def get_image_metrics_and_images(
        self, outputs: dict[str, Any], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return the figures of one frame over white (see FrameQuality), of a decoded frame the bundle's bytes, too, and the
        frame beside its source."""
        figures, pair = self._quality.measure(outputs["rgb"], batch["image"])
        if self.decoded is not None:
            figures["bytes"] = float(self.decoded.bytes)  # nerfstudio takes the mean of floats alone
        return figures, {"img": pair}
