"""The pipeline is nerfstudio's own; loaded from a checkpoint, it shows the cameras that the training has refined, and measures
the bundle that the run would be exported as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from nerfstudio.pipelines.base_pipeline import VanillaPipeline

from nerfsem_method.errors import NerfsemError, complain
from nerfsem_method.evaluation.decoded import DecodedFrames
from nerfsem_method.plugin.datamanager import NerfsemDataManager
from nerfsem_method.plugin.finishing import finished
from nerfsem_method.plugin.model import NerfsemModel
from nerfsem_method.plugin.residual import with_residual

UNMEASURABLE = "an imported bundle has no source frames to measure against; run nerfsem evaluate with the original video"


class NerfsemPipeline(VanillaPipeline):
    """This pipeline says in one line what cannot be done with a run."""

    datamanager: NerfsemDataManager
    _model: NerfsemModel

    def __init__(self, config: Any, device: str, **kwargs: Any) -> None:
        if torch.device(device).type == "cpu":
            torch.set_num_threads(1)  # the compiled loops bring their own threads; torch's would spin beside them
        super().__init__(config, device, **kwargs)

    def load_pipeline(self, loaded_state: dict[str, Any], step: int) -> None:
        """Load a checkpoint, and let the datasets have its cameras: a rendering is compared with what was refined to fit it."""
        super().load_pipeline(loaded_state, step)
        self.datamanager.stand_at(self._model.cameras.poses.cpu().numpy())

    def get_eval_image_metrics_and_images(self, step: int) -> Any:
        """Measure one frame; end the command in one line where there are no frames."""
        self._insist_on_frames()
        return super().get_eval_image_metrics_and_images(step)

    def get_average_eval_image_metrics(
        self, step: int | None = None, output_path: Path | None = None, get_std: bool = False
    ) -> Any:
        """Measure all evaluation frames; end the command in one line where there are none.

        Those of a loaded run are decoded frames of its FP bundle, with filter and residual, as `nerfsem evaluate` has them.
        """
        self._insist_on_frames()
        if self.test_mode == "test":
            try:
                self._model.decoded = self._decoded()
            except NerfsemError as error:
                raise SystemExit(complain(error)) from None
        try:
            return super().get_average_eval_image_metrics(step, output_path, get_std)
        finally:
            self._model.decoded = None

    def _decoded(self) -> DecodedFrames:
        model, scene = self._model, self.datamanager.eval_dataset.scene
        made = finished(self.config, scene, model.stored(), model.rate_weight.item())
        return DecodedFrames(with_residual(made, scene, model.config.goal))

    def _insist_on_frames(self) -> None:
        if not self.datamanager.eval_dataset.measurable:
            raise SystemExit(complain(NerfsemError(UNMEASURABLE)))
