"""The conductor acts on the events of a training's course, all of them and in their order, before each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nerfsem_method.log import LOG
from nerfsem_method.scene.camera import Window
from nerfsem_method.scene.scene import Video
from nerfsem_method.training.agreement import Agreement, agree, is_rough
from nerfsem_method.training.align import align
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.course import Course, Event
from nerfsem_method.training.filter import FilterGain, find_filter
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.rate_control import RateControl, center_psnr
from nerfsem_method.training.snapshot import measured_bytes, snapshot


@dataclass(frozen=True)
class TrainingClip:
    """A clip to train on has the video's facts, frames [n, H, W, 4] uint8 (straight alpha), and the camera [n] of each.

    `keep` is called after each agreement, with its number and outcome, and keeps the frames' alpha; `take` sets it to what was
    kept of a number. The pictures fill these `windows` of the frames.
    """

    video: Video
    frames: Tensor
    cameras: Tensor
    windows: Sequence[Window | None]
    keep: Callable[[int, Agreement], None] = lambda *_: None
    take: Callable[[int], None] = lambda _: None


class Conductor:
    """The conductor leads a field and its cameras through a training of `steps` steps.

    Attributes:
        rate_weight: lambda, a scalar float64 tensor that is changed in place, so that checkpoints hold it.
        rates: whether the rate counts in the present step's loss.

    With a `density_threshold`, the occupancy follows the density, as in the paper, instead of contributions to rays.
    """

    def __init__(
        self, field: RadianceField, cameras: CameraPath, rate_weight: Tensor, course: Course, steps: int, clip: TrainingClip,
        control: RateControl | None = None, density_threshold: float | None = None,
    ) -> None:  # fmt: skip
        self.field, self.cameras, self.rate_weight = field, cameras, rate_weight
        self.course, self.steps, self.clip, self.control = course, steps, clip, control
        self.rates = False
        self._step = 0
        self._outlines, self._rough, self._agreements = 0.0, False, 0
        self._filter = FilterGain.expected(course.filter_steps)
        self._density_threshold = density_threshold
        self._side_bytes: float | None = None
        self._actions = {
            Event.CARVE: self._carve,
            Event.FREEZE: self._freeze,
            Event.QUANTISE: field.heads.quantise,
            Event.REFRESH: field.refresh,
            Event.MEASURE: self._measure,
            Event.STEER: self._steer,
            Event.ALIGN: self._align,
            Event.AGREE: self._agree,
            Event.SHARPEN: self._sharpen,
        }

    @torch.no_grad()
    def before(self, step: int) -> None:
        """Do what the course says before a step."""
        self._step = step
        self.field.observing = self.course.observes(step, self.steps)
        self.rates = self.course.rates(step, self.steps)
        with self.field.grids.unchanged():
            for event in self.course.events(step, self.steps):
                self._actions[event]()

    def kilobytes(self, table_bits: float) -> float:
        """Return the size of the FP bundle, given the present estimate of the bits of tables and context models.

        The bundle is encoded after each MEASURE; until the next one, the estimate tells what has changed.
        """
        if self._side_bytes is None:
            self._side_bytes = self._measured() - table_bits / 8
        return (self._side_bytes + table_bits / 8 + self._filter.bytes) / 1e3

    def memory(self) -> dict[str, Any]:
        """Return what a training needs to go on exactly as it would have, and the parameters and buffers do not hold."""
        return {
            "generator": self.field.generator.bit_generator.state,
            "rest": self.control.rest if self.control else None,
            "rough": self._rough,
            "agreements": self._agreements,
            "filter": (self._filter.bytes, self._filter.decibels),
            "turn": self.field.rate.turn,
            "mixing": self.field.rate.mixing.tolist(),
        }

    def remember(self, memory: dict[str, Any]) -> None:
        """Take over what `memory` returned."""
        self.field.generator.bit_generator.state = memory["generator"]
        self._rough, self._agreements = memory["rough"], memory["agreements"]
        self.clip.take(self._agreements)
        self._filter = FilterGain(None, *memory["filter"])
        if self.control:
            self.control.rest = memory["rest"]
        if "mixing" in memory:  # runs of before have none
            self.field.rate.mixing.copy_(torch.tensor(memory["mixing"]))
        self.field.take_turn(memory["turn"])

    def _carve(self) -> None:
        if self._density_threshold is not None:
            self.field.occupy_by_density(self._density_threshold)
        else:
            self.field.carve(self.course.carve_threshold)

    def _freeze(self) -> None:
        if self._density_threshold is not None:
            self.field.occupy_by_density(self._density_threshold)
            self.field.fit()
        else:
            self.field.freeze(*self.course.freeze_thresholds)

    def _measured(self) -> float:
        return measured_bytes(self.field, self.cameras, self.clip.video)

    def _align(self) -> None:
        object_share = float((self.clip.frames[..., 3] > 127).float().mean())
        byte_weight = self.rate_weight.item() / max(object_share, 1e-6)
        found = align(self.field, self.cameras, self.clip.frames, self.clip.cameras, byte_weight)
        self._outlines = found.outlines
        LOG.info("step %d: aligned, %s", self._step, found)

    def _agree(self) -> None:
        if not self._agreements:
            self._rough = is_rough(self.field, self.cameras, self._outlines)
        self._agreements += 1
        found = agree(self.field, self.cameras, self.clip.frames, self.clip.cameras, self.clip.windows, self._rough)
        self.clip.keep(self._agreements, found)
        LOG.info("step %d: mattes and field agree, %s", self._step, found)

    def _sharpen(self) -> None:
        if self.control is None:
            return
        indices, frames = self.clip.cameras.tolist(), self.clip.frames
        made = snapshot(self.field, self.cameras, self.clip.video).quantised()
        order = {index: i for i, index in enumerate(indices)}
        self._filter = find_filter(
            made, lambda index: frames[order[index]].cpu().numpy(), indices, self.course.filter_steps, self.rate_weight.item()
        )

    def _measure(self) -> None:
        self._side_bytes = None
        if self.rates:
            self.field.rate.learn(self.field.grids)

    def _steer(self) -> None:
        """Measure the bundle, or the picture, as it is now, and set lambda."""
        if self.control is None:
            return
        if self.control.goal.size is not None:
            measured = float(self._measured()) + self._filter.bytes
        else:
            measured = center_psnr(self.field, self.cameras, self.clip.frames, self.clip.cameras) + self._filter.decibels
        self.rate_weight.fill_(self.control.steer(self.rate_weight.item(), measured, self._step / self.steps))
