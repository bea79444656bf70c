"""The radiance field as a nerfstudio model: rays in, colours and losses out. The formulas live in `nerfsem_method.field`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.models.base_model import Model, ModelConfig
from torch import Tensor
from torch.nn import Parameter

from nerfsem_method.codec import nsem
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.plugin.checkpoint import bundle_of
from nerfsem_method.plugin.datamanager import NerfsemDataManager
from nerfsem_method.plugin.dataparser import world_scale
from nerfsem_method.plugin.scene_hull import scene_hull
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.align import align
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.course import Course
from nerfsem_method.training.goal import Goal
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.rate_control import RateControl, center_psnr

FEWEST_RAYS = 256
MEASURE_EVERY = 0.1
"""Share of the steps between two measurements of the bundle's size."""
STEER_EVERY = 0.02
"""Share of the steps between two corrections of lambda."""
STEER_AFTER = 0.1
"""Share of the steps that the tables are given, from the rate term's start, before lambda is steered."""


@dataclass
class NerfsemModelConfig(ModelConfig):
    """The field and how it is trained; presets fill it in."""

    _target: type = field(default_factory=lambda: NerfsemModel)
    spec: FieldSpec = field(default_factory=lambda: FieldSpec((Level(16, 2), Level(32, 2)), (Level(64, 1),)))
    """Shapes of the field."""
    course: Course = field(default_factory=Course)
    """Stages of training."""
    rate_weight: float = 2e-8
    """lambda: mean squared error (colours in [0, 1], mean over all pixels of the video) that one byte may save."""
    target_bytes: float | None = None
    """Size of the finished FP bundle in bytes; lambda is steered from `rate_weight` on to meet it."""
    target_psnr: float | None = None
    """PSNR-CENTER of the finished bundle in dB, instead of a size."""
    head_bits: int = 7
    """Bits of the largest weight of a head's tensor."""
    sample_budget: int = 49152
    """Samples of a training step; the number of rays follows."""
    eval_num_rays_per_chunk: int = 1 << 14
    """Rays rendered at a time outside training."""


class NerfsemModel(Model):
    """A binary radiance field of one artefact, its cameras and its rate."""

    config: NerfsemModelConfig
    rate_weight: Tensor
    _rays: int
    _most_rays: int
    _candidate_share: float
    _rate_active: bool
    _other_bytes: float | None

    def populate_modules(self) -> None:
        """Build the field inside the scene's visual hull."""
        super().populate_modules()
        scene: Scene = self.kwargs["metadata"]["scene"]
        hull = scene_hull(scene, self.config.spec.occupancy)
        self.field = RadianceField(self.config.spec, hull, self.config.head_bits)
        self.cameras = CameraPath(scene.camera, scene.poses)
        self._world_scale = world_scale(scene)
        self._video = scene.video
        self.register_buffer("rate_weight", torch.tensor(self.config.rate_weight, dtype=torch.float64))
        self._control = _rate_control(self.config)
        self._other_bytes = None
        self._candidate_share = 1.0
        self._rays = 1024
        self._most_rays = 1 << 14

    def get_param_groups(self) -> dict[str, list[Parameter]]:
        """The real parameters of the tables, the heads, the context models."""
        return {
            "grids": [self.field.grids.theta],
            "heads": list(self.field.heads.parameters()),
            "contexts": list(self.field.rate.parameters()),
        }

    def get_training_callbacks(self, attributes: TrainingCallbackAttributes) -> list[TrainingCallback]:
        """Before each step: carve or freeze the occupancy, quantise the heads, align the cameras when the course says so."""
        trainer = attributes.trainer
        assert trainer is not None and attributes.pipeline is not None
        if self.device.type == "cpu":
            torch.set_num_threads(1)  # the compiled loops bring their own threads; torch's would spin beside them
        datamanager, course = attributes.pipeline.datamanager, self.config.course
        assert isinstance(datamanager, NerfsemDataManager)
        self._candidate_share = datamanager.candidate_share
        self._most_rays = datamanager.config.train_num_rays_per_batch
        steps = trainer.config.max_num_iterations
        aligned = {int(share * steps) for share in course.align_at}
        steer_from, steer_every = (course.rate_from + STEER_AFTER) * steps, max(1, int(STEER_EVERY * steps))

        def maintain(step: int) -> None:
            self.field.maintain(step, steps, course)
            datamanager.rays = self._rays
            self._rate_active = step >= course.rate_from * steps
            if step % max(1, int(MEASURE_EVERY * steps)) == 0:
                self._other_bytes = None
            if self._control is not None and step >= steer_from and step % steer_every == 0:
                self._steer(self._control, step / steps, datamanager)
            if step in aligned:
                align(self.field, self.cameras, datamanager.frames_rgba, datamanager.train_dataset.frame_indices)

        return [TrainingCallback([TrainingCallbackLocation.BEFORE_TRAIN_ITERATION], maintain)]

    def _steer(self, control: RateControl, done: float, datamanager: NerfsemDataManager) -> None:
        """Measure the bundle, or the picture, as it is now, and set lambda."""
        if control.goal.size is not None:
            measured = float(len(nsem.encode(bundle_of(self.field, self.cameras, self._video))))
        else:
            measured = center_psnr(self.field, self.cameras, datamanager.frames_rgba, datamanager.train_dataset.frame_indices)
        self.rate_weight.fill_(control.steer(self.rate_weight.item(), measured, done))

    def get_outputs(self, ray_bundle: RayBundle) -> dict[str, Any]:
        """Render; during training also the terms of the loss, for as many of the rays as the sample budget allows."""
        if not self.training:
            rendering = self.field.render(ray_bundle.origins / self._world_scale + 0.5, ray_bundle.directions)
            accumulation = rendering.accumulation[:, None]
            return {
                "rgb": rendering.color + 1 - accumulation,
                "accumulation": accumulation,
                "depth": rendering.depth[:, None] * self._world_scale,
            }
        assert ray_bundle.camera_indices is not None
        frames = ray_bundle.camera_indices[: self._rays, 0]
        viewing = ray_bundle.metadata["viewing"][: self._rays]
        step = self.field.step(*self.cameras.rays_along(frames, viewing), self.config.course)
        growth = min(self.config.sample_budget / max(len(step.samples.rays), 1), 1.5)
        self._rays = int(min(max(self._rays * growth, FEWEST_RAYS), self._most_rays))
        rendering = step.rendering
        return {
            "color": rendering.color * self.cameras.gains[frames],
            "accumulation": rendering.accumulation[:, None],
            "distortion": rendering.distortion,
            "bits": step.bits,
        }

    def get_loss_dict(self, outputs: dict[str, Any], batch: dict[str, Any], metrics_dict=None) -> dict[str, Tensor]:
        """Distortion over a random ground (which supervises alpha, too), lambda * bytes, sharpness."""
        target = batch["image"][: len(outputs["color"])].to(self.device)
        ground = torch.rand_like(outputs["color"])
        alpha = target[:, 3:]
        error = outputs["color"] - target[:, :3] * alpha + (alpha - outputs["accumulation"]) * ground
        losses = {
            "mse": error.square().mean(),
            "sharpness": self.config.course.sharpness * outputs["distortion"],
        }
        if self._rate_active:
            # rays are drawn from a share of the pixels, the others have no error: MSE over the video = share * MSE
            losses["rate"] = self.rate_weight.item() / self._candidate_share * outputs["bits"] / 8
        return losses

    def get_metrics_dict(self, outputs: dict[str, Any], batch: dict[str, Any]) -> dict[str, Tensor]:
        """PSNR over white of the step's rays, and the kilobytes that an FP bundle would have now.

        The bundle is encoded now and then; in between, the estimate of the tables' bits tells what has changed.
        """
        target = batch["image"][: len(outputs["color"])].to(self.device)
        alpha = target[:, 3:]
        table_bytes = outputs["bits"].item() / 8
        if self._other_bytes is None:
            size = len(nsem.encode(bundle_of(self.field, self.cameras, self._video)))
            self._other_bytes = size - table_bytes
        error = outputs["color"].detach() - target[:, :3] * alpha + alpha - outputs["accumulation"].detach()
        kilobytes = (self._other_bytes + table_bytes) / 1e3
        return {"psnr": -10 * error.square().mean().log10(), "kilobytes": torch.tensor(kilobytes)}

    def get_image_metrics_and_images(
        self, outputs: dict[str, Any], batch: dict[str, Any]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """PSNR of one frame over white, and the frame beside its source."""
        target = batch["image"].to(self.device).float()
        if target.max() > 1:
            target = target / 255
        alpha = target[..., 3:]
        reference = target[..., :3] * alpha + 1 - alpha
        rendered = outputs["rgb"].clamp(0, 1)
        psnr = -10 * (rendered - reference).square().mean().log10()
        return {"psnr": float(psnr)}, {"img": torch.cat([reference, rendered], 1)}


def _rate_control(config: NerfsemModelConfig) -> RateControl | None:
    if config.target_bytes is None and config.target_psnr is None:
        return None
    return RateControl(Goal(config.target_bytes, config.target_psnr), config.rate_weight)
