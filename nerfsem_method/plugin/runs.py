"""A bundle becomes a nerfstudio run: ns-viewer and ns-render open it, and the video is not needed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import torch

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.errors import OutputError
from nerfsem_method.files import replacing_folder
from nerfsem_method.outputs import is_forced
from nerfsem_method.plugin.config import NerfsemTrainerConfig, trainer_config
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField


@dataclass
class ImportedRunConfig(NerfsemTrainerConfig):
    """An imported run lies in `output_dir` itself, an absolute path, and was never trained here."""

    def get_base_dir(self) -> Path:
        """Return where config.yml is."""
        return self.output_dir


def import_bundle(path: Path, run_dir: Path) -> Path:
    """Make `run_dir` with a copy of the bundle, a checkpoint of its decoded weights and a config.yml; returns the last.

    The configuration is written afresh, with paths of this machine: config.yml is executable, it never travels in a
    bundle.
    Raises BundleError for a damaged bundle, OutputError when the folder is not empty or cannot be made.
    """
    data = nsem.read_bytes(path)
    decoded = nsem.decode(data)
    run_dir = run_dir.absolute()
    if run_dir.exists() and (not run_dir.is_dir() or any(run_dir.iterdir())) and not (is_forced() and _is_import(run_dir)):
        raise OutputError(f"{run_dir} is not an empty folder; import into a new one, or give --force for an earlier import")
    with replacing_folder(run_dir) as partial:
        models = partial / "nerfstudio_models"
        models.mkdir()
        (partial / path.name).write_bytes(data)
        checkpoint = io.BytesIO()  # torch reports a full disk as an error of its own, a file as one that has a name
        torch.save({"step": 0, "pipeline": _pipeline_state(decoded)}, checkpoint)
        (models / "step-000000000.ckpt").write_bytes(checkpoint.getvalue())
        _write_config(decoded, run_dir / path.name, partial / "config.yml")
    return run_dir / "config.yml"


def _is_import(run_dir: Path) -> bool:
    """Return whether a folder holds an earlier import."""
    config = run_dir / "config.yml"
    return config.is_file() and ImportedRunConfig.__name__.encode() in config.read_bytes()


def _pipeline_state(decoded: Bundle) -> dict[str, object]:
    """Return what a VanillaPipeline with a NerfsemModel loads strictly."""
    parts = {
        "field": RadianceField.from_state(decoded.state),
        "cameras": CameraPath(decoded.camera, decoded.poses, decoded.gains, decoded.tints, decoded.zooms),
    }
    state = {f"_model.{part}.{name}": value for part, m in parts.items() for name, value in m.state_dict().items()}
    rate_weight = torch.zeros((), dtype=torch.float64)  # no training goes on from here
    return {"_model.device_indicator_param": torch.empty(0), "_model.rate_weight": rate_weight, **state}


def _write_config(decoded: Bundle, bundle: Path, target: Path) -> None:
    import yaml

    made = trainer_config("standard")
    config = ImportedRunConfig(**vars(made))
    config.output_dir = bundle.parent
    config.experiment_name = bundle.stem
    config.timestamp = "imported"
    config.data = config.pipeline.datamanager.data = bundle
    config.pipeline.datamanager.dataparser.data = bundle
    config.pipeline.model.spec = decoded.state.spec
    target.write_text(yaml.dump(config), "utf8")
