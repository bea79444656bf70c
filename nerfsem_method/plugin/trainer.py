"""nerfstudio's Trainer, made safe against being stopped: its checkpoints are whole, often enough, and hold all that goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackLocation
from nerfstudio.engine.trainer import Trainer
from nerfstudio.utils import writer

from nerfsem_method.errors import NerfsemError, complain, speak_anywhere
from nerfsem_method.files import refusal, replacing
from nerfsem_method.outputs import check_space
from nerfsem_method.plugin.checkpoint import checkpoints, load_state
from nerfsem_method.progress import Advance, progress_bar
from nerfsem_method.stopping import advise, farewell, stoppable

if TYPE_CHECKING:
    from nerfsem_method.plugin.model import NerfsemModel

SAVE_SECONDS = 60.0
"""A checkpoint is kept so often, besides those that nerfstudio's steps_per_save asks for: no more work than this is lost."""
COPIES = 6
"""Two checkpoints lie on the disk for a moment, and Adam's two moments are in each beside the parameters."""
_EXTRA = "nerfsem"


class ProgressWriter(writer.Writer):
    """This event writer of nerfstudio's tells steps, loss, quality and estimated size on our own line of progress."""

    def __init__(self, advance: Advance, steps: int) -> None:
        self._advance, self._steps = advance, steps
        self._facts: dict[str, str] = {}

    def write_scalar(self, name: str, scalar: float | torch.Tensor, step: int) -> None:
        """Take every scalar of a step from nerfstudio."""
        if name == "Train Loss":
            self._facts["loss"] = f"loss {torch.as_tensor(scalar).item():.5f}"
        done = min(step + 1, self._steps)  # the last report of a training counts one step more
        self._advance(done, self._steps, "  ".join([f"step {done} of {self._steps}", *self._facts.values()]))

    def write_scalar_dict(self, name: str, scalar_dict: dict[str, Any], step: int) -> None:
        """Take the model's metrics from nerfstudio."""
        if name == "Train Metrics Dict":
            self._facts["psnr"] = f"{torch.as_tensor(scalar_dict['psnr']).item():.1f} dB"
            self._facts["size"] = f"{torch.as_tensor(scalar_dict['kilobytes']).item():.1f} kB"

    def write_image(self, name: str, image: torch.Tensor, step: int) -> None:
        """Take no evaluation image: this line has no room for one."""

    def write_config(self, name: str, config_dict: dict[str, Any], step: int) -> None:
        """Take no configuration: the run's config.yml holds it."""


class NerfsemTrainer(Trainer):
    """This Trainer goes on from a checkpoint as if it had never been stopped, and ends in one line when it must end early."""

    _done = 0
    """A training that goes on has so many steps behind it."""
    _saved_at = 0.0

    def setup(self, test_mode: Any = "val") -> None:
        """Set up for ns-train: whatever a user can cause ends the command in one line."""
        with ending_in_one_line():
            self.prepare(test_mode)

    def prepare(self, test_mode: Any = "val") -> None:
        """Set up as nerfstudio does; where output is no terminal, its table gives way to plain lines.

        Raises OutputError where the disk has no room for two checkpoints, CaptureError for a scene that cannot be used.
        """
        if not sys.stdout.isatty():
            self.config.logging.local_writer.enable = False
        super().setup(test_mode)
        parameters = sum(value.nbytes for value in self._model.parameters())
        check_space(self.checkpoint_dir, COPIES * parameters, "checkpoints", "name another folder")
        state = load_state(self._loaded) if self._loaded else {}
        self._remember(state)
        self.callbacks.append(TrainingCallback([TrainingCallbackLocation.AFTER_TRAIN_ITERATION], self._save_now_and_then))

    def train(self) -> None:
        """Train for ns-train: whatever a user can cause ends the command in one line, and Ctrl-C is no error after the end."""
        with ending_in_one_line():
            try:
                self.lead()
            except KeyboardInterrupt as stop:
                if self.training_state == "completed":  # it is how the viewer is left
                    return
                if self.checkpoint_dir.is_dir():
                    advise(stop, f"add --load-dir {self.checkpoint_dir} to go on")
                raise

    def lead(self) -> None:
        """Train the steps that are left, and tell how far the training is unless nerfstudio's table does."""
        steps, self._saved_at = self.config.max_num_iterations, time.monotonic()
        self.config.max_num_iterations -= self._done  # nerfstudio counts from where it begins
        try:
            if self.config.logging.local_writer.enable:
                super().train()
            else:
                with _told(self._start_step + steps - self._done):
                    super().train()
        finally:
            self.config.max_num_iterations = steps

    def go_on(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint of the same training and do no more than the steps that are left."""
        self.pipeline.load_pipeline(state["pipeline"], state["step"])
        self.optimizers.load_optimizers(state["optimizers"])
        self.optimizers.load_schedulers(state["schedulers"])
        self.grad_scaler.load_state_dict(state["scalers"])
        self._start_step = self._done = state["step"] + 1
        self._remember(state)

    def save_checkpoint(self, step: int) -> None:
        """Keep a checkpoint, whole or not at all, and then let go of the earlier ones. Raises OutputError."""
        self.checkpoint_dir.mkdir(parents=True, exist_ok=True)
        kept = self.checkpoint_dir / f"step-{step:09d}.ckpt"
        state = {
            "step": step,
            "pipeline": self.pipeline.state_dict(),
            "optimizers": {name: part.state_dict() for name, part in self.optimizers.optimizers.items()},
            "schedulers": {name: part.state_dict() for name, part in self.optimizers.schedulers.items()},
            "scalers": self.grad_scaler.state_dict(),
            _EXTRA: {"model": self._model.memory(), "random": _random_state()},
        }
        with replacing(kept) as partial:
            torch.save(state, partial)
        self._saved_at = time.monotonic()
        if self.config.save_only_latest_checkpoint:
            for path in checkpoints(self.checkpoint_dir):
                if path != kept:
                    path.unlink()

    def _save_now_and_then(self, step: int) -> None:
        """Keep a checkpoint where the next step estimates anew what no checkpoint holds: going on then changes nothing."""
        refreshed = (step + 1) % self._model.config.course.refresh_steps == 0
        if refreshed and time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self.save_checkpoint(step)

    @property
    def _model(self) -> NerfsemModel:
        return self.pipeline.model  # type: ignore[return-value]

    @property
    def _loaded(self) -> Path | None:
        """Return the checkpoint that nerfstudio's own options name."""
        if self.config.load_dir is not None and self.config.load_step is not None:
            return self.config.load_dir / f"step-{self.config.load_step:09d}.ckpt"
        if self.config.load_dir is not None:
            return next(iter(checkpoints(self.config.load_dir)), None)
        return self.config.load_checkpoint

    def _remember(self, state: dict[str, Any]) -> None:
        extra = state.get(_EXTRA)
        if extra:
            self._model.remember(extra["model"])
            _set_random_state(extra["random"])


@contextmanager
def ending_in_one_line() -> Iterator[None]:
    """End nerfstudio's commands as ours end: in one line and with an exit code, where nerfstudio would print a traceback."""
    speak_anywhere()
    try:
        with stoppable():
            yield
    except NerfsemError as error:
        raise SystemExit(complain(error)) from None
    except OSError as error:
        raise SystemExit(complain(refusal(error))) from None
    except KeyboardInterrupt as stop:
        raise SystemExit(farewell(stop)) from None


@contextmanager
def _told(steps: int) -> Iterator[None]:
    """Tell of a training in the block, up to step number `steps`."""
    with progress_bar("training") as advance:
        shown = ProgressWriter(advance, steps)
        writer.EVENT_WRITERS.append(shown)
        try:
            yield
        finally:
            writer.EVENT_WRITERS.remove(shown)


def _random_state() -> dict[str, torch.Tensor]:
    found = {"cpu": torch.get_rng_state()}
    return {**found, "cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else found


def _set_random_state(state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
