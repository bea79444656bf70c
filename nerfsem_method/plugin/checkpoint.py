"""A trained run becomes a bundle; that needs the run and its scene folder, neither the pipeline nor a GPU."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from nerfsem_method.background import neural
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.plate import make_background
from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle, Layer
from nerfsem_method.errors import NerfsemError
from nerfsem_method.evaluation import gate
from nerfsem_method.files import named
from nerfsem_method.hinerv.sizes import recipe
from nerfsem_method.log import LOG
from nerfsem_method.plugin.again import stored_background, write_again
from nerfsem_method.plugin.finishing import finished
from nerfsem_method.plugin.residual import with_residual
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training import torchac_check
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.snapshot import snapshot

_MODEL = "_model."


def export(config_path: Path, output_dir: Path, mode: str, options: BackgroundOptions) -> Path:
    """Write `output_dir`/<clip>-<mode>.nsem from a run's config.yml; returns the path.

    Raises NerfsemError when the run has no checkpoint or the background cannot have these options, CaptureError when its scene is
    gone, OutputError when the bundle cannot be written there, which is told before any work, and NerfsemError when the bundle
    does not show the object.
    """
    options.check()
    config = load_config(config_path)
    scene = run_scene(config)
    path = named(output_dir, Path(scene.video.name).stem, f"-{mode}.nsem")
    nsem.check_target(path)
    background = None
    if mode == "pc":
        background = scene_background(scene, options)
    made = run_bundle(config, scene, background)
    if scene.bundle is not None:
        write_again(path, made, scene.bundle)
    else:
        write_bundle(path, made)
        gate.check(scene, path, print)
    return path


def write_bundle(path: Path, bundle: Bundle) -> None:
    """Write a bundle, see `nsem.write`, and compare it with torchac's bytes where that is installed. Raises BundleError."""
    nsem.write(path, bundle)
    torchac_check.check(bundle, path.read_bytes())


def load_config(config_path: Path):
    """Return the TrainerConfig of a run. Its config.yml is executable YAML: only load what was written on this machine."""
    try:
        config = yaml.load(config_path.read_text(), Loader=yaml.Loader)
    except (OSError, yaml.YAMLError) as error:
        raise NerfsemError(f"{config_path} cannot be read ({error}); give the config.yml of an ns-train run") from None
    if not hasattr(getattr(getattr(config, "pipeline", None), "model", None), "course"):
        raise NerfsemError(f"{config_path} is not a run of nerfsem; train one with ns-train nerfsem --data relic.mp4")
    return config


def run_scene(config) -> Scene:
    """Return the scene that a run was trained on."""
    parser = config.pipeline.datamanager.dataparser
    parser.data = config.data or config.pipeline.datamanager.data or parser.data
    return parser.setup().get_dataparser_outputs("train").metadata["scene"]


def scene_background(scene: Scene, options: BackgroundOptions, most: float | None = None) -> Layer:
    """Return the background layer of a scene; where no crf is chosen, its stream has `most` bytes at most if its codec can.

    Raises NerfsemError when the scene is a bundle without one.
    """
    if scene.bundle is not None:
        return stored_background(scene.bundle)
    frames = _Pictures(scene, [frame.image for frame in scene.frames], "RGB")
    mattes = _Pictures(scene, [frame.matte for frame in scene.frames], "L")
    if options.codec == "hinerv":
        height, width = frames[0].shape[:2]
        return neural.make_background(frames, mattes, recipe(options.size, len(frames), height, width))
    return make_background(frames, mattes, scene.video.rate, options, most)


class _Pictures(Sequence[np.ndarray]):
    """The pictures of a scene are read when they are looked at."""

    def __init__(self, scene: Scene, names: list[str], kind: str) -> None:
        self._paths = [scene.root / name for name in names]
        self._kind = kind

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        with Image.open(self._paths[index]) as picture:
            return np.asarray(picture.convert(self._kind))


def run_field(config, scene: Scene) -> tuple[RadianceField, CameraPath]:
    """Return field and cameras of a run's newest checkpoint, in floating point."""
    return _field_of(config, scene, _newest_weights(config.get_checkpoint_dir()))


def _field_of(config, scene: Scene, weights: dict) -> tuple[RadianceField, CameraPath]:
    field = config.pipeline.model.new_field(weights["field.occupancy.hull"].numpy())
    part = {name.removeprefix("field."): value for name, value in weights.items() if name.startswith("field.")}
    field.load_state_dict(part)
    cameras = CameraPath(scene.camera, scene.poses, zooms=scene.zooms)
    cameras.load_state_dict({n.removeprefix("cameras."): v for n, v in weights.items() if n.startswith("cameras.")})
    return field, cameras


def run_bundle(config, scene: Scene, background: Layer | None) -> Bundle:
    """Return the bundle of a run's newest checkpoint, see `finished` and `with_residual`."""
    weights = _newest_weights(config.get_checkpoint_dir())
    made = snapshot(*_field_of(config, scene, weights), scene.video, background)
    done = finished(config.pipeline, scene, made, weights["rate_weight"].item())
    return with_residual(done, scene, config.pipeline.model.goal)


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, there or not, the newest first."""
    return sorted(folder.glob("step-*.ckpt"), reverse=True)


def load_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint. Raises NerfsemError when it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise NerfsemError(f"{path} does not exist; name a checkpoint of a run") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise NerfsemError(f"the checkpoint {path} is damaged ({reason}); delete it, and go on from the one before") from None


def newest(folder: Path) -> dict[str, Any] | None:
    """Return the newest checkpoint in a folder that can be read; None where there is none."""
    for path in checkpoints(folder):
        try:
            return load_state(path)
        except NerfsemError as error:
            LOG.info("%s", error)
    return None


def _newest_weights(folder: Path) -> dict:
    found = checkpoints(folder)
    if not found:
        raise NerfsemError(f"{folder} holds no checkpoint; let ns-train reach its end, or save one")
    state = load_state(found[0])["pipeline"]
    return {name.removeprefix(_MODEL): value for name, value in state.items() if name.startswith(_MODEL)}
