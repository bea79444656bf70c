"""This module draws mattes by RMBG-2.0 or BiRefNet: one architecture, two sets of weights, of a pinned revision or a folder.

    python -m nerfsem_method.capture.mattes.learned

This installs what the published code imports beside torch and transformers. It wants a current timm and nerfstudio holds 0.6.7
(which it never imports), so these packages lie in a folder of their own that is looked into while a network works.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nerfsem_method.capture.clip.frames import Advance
from nerfsem_method.capture.mattes.given import write_matte
from nerfsem_method.compiled.cache import user_cache
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.pictures import read_picture

if TYPE_CHECKING:
    import torch

INPUT_SIDE = 1024
"""The networks were trained on squares of so many pixels."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The networks expect colours, red first, relative to these moments of ImageNet's."""
WEIGHTS_FILE = "model.safetensors"
"""Both releases keep their weights under this name."""
PACKAGES = ("einops==0.8.2", "kornia==0.9.0", "kornia-rs==0.2.0", "timm==1.0.31")
"""These packages (49 MB) are what the published code imports; what they need in their turn, a training environment has."""
REMEDY = "choose --segmenter classical or give --mattes DIR"
"""Errors of packages and downloads end with this way out, which needs neither."""


@dataclass(frozen=True)
class Release:
    """A release is a published model: repository on the Hugging Face hub, commit, and what a user must know of its licence."""

    repository: str
    revision: str
    licence: str


RELEASES = {
    "rmbg": Release("briaai/RMBG-2.0", "5df4c9c76d8170882c34f6986e848ee07fd0ba43", "CC BY-NC 4.0: for non-commercial use only"),
    "birefnet": Release("ZhengPeng7/BiRefNet", "e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4", "MIT"),
}
"""Revisions are pinned, because a release's code is run as it is."""


def segment(frames: list[Path], name: str, weights: Path | None, target: Path, advance: Advance) -> None:
    """Write a soft matte for each frame to `target`, by the release `name`, loaded from the folder `weights` if given.

    Raises CaptureError when packages or weights are missing, the repository is gated or cannot be reached.
    """
    import rich

    release = RELEASES[name]
    rich.print(f"Segmenting with {release.repository} ({release.licence})")
    folder = weights or _download(release)
    with own_packages():
        try:
            import torch

            model = _load(folder)
        except ImportError as error:
            reason = str(error).strip().splitlines()[0]
            raise CaptureError(
                f"{release.repository} needs a package that is missing ({reason}): "
                f"python -m {__spec__.name} installs what it needs (49 MB), or {REMEDY}"
            ) from None
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = model.to(device, torch.float16 if device.type == "cuda" else torch.float32).eval()
        for index, matte in enumerate(_predict(model, frames, device)):
            write_matte(target, frames[index].name, matte)
            advance(index + 1, len(frames))


def packages_folder() -> Path:
    """Return where PACKAGES lie: outside of the environment, one folder for each version of Python."""
    return user_cache() / f"segmenter-{sys.version_info.major}.{sys.version_info.minor}"


@contextmanager
def own_packages() -> Iterator[None]:
    """Look for packages in their own folder first, while the block runs."""
    folder = str(packages_folder())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def install() -> int:
    """Install PACKAGES and return pip's exit code."""
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--upgrade", "--target", str(packages_folder())]
    return subprocess.run([*pip, *PACKAGES]).returncode


def _download(release: Release) -> Path:
    """Return the folder of the release's code and weights, from the hub's cache or from the hub."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise CaptureError(f"{release.repository} needs the package transformers; {REMEDY}") from None
    try:
        wanted = ["*.py", "config.json", WEIGHTS_FILE]
        return Path(snapshot_download(release.repository, revision=release.revision, allow_patterns=wanted))
    except GatedRepoError:
        raise CaptureError(
            f"{release.repository} is gated: accept its licence on its model page and log in with hf auth login, "
            f"or give --segmenter-weights DIR, or {REMEDY}"
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CaptureError(
            f"{release.repository} cannot be downloaded ({type(error).__name__}); give --segmenter-weights DIR, or {REMEDY}"
        ) from None


def _load(folder: Path) -> torch.nn.Module:
    """Return the model that the folder's own code defines, with its weights.

    `from_pretrained` would not do: the published code and the releases of transformers disagree about what it needs
    (`get_text_config`, meta-device initialisation, `all_tied_weights_keys`); the constructor is stable.
    """
    from safetensors.torch import load_file
    from transformers import AutoConfig
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    if not (folder / "config.json").is_file() or not (folder / WEIGHTS_FILE).is_file():
        raise CaptureError(f"{folder} holds no segmentation model: config.json and {WEIGHTS_FILE} are needed")
    config: Any = AutoConfig.from_pretrained(str(folder), trust_remote_code=True)
    reference = getattr(config, "auto_map", {}).get("AutoModelForImageSegmentation")
    if not reference:
        raise CaptureError(f"{folder}/config.json names no AutoModelForImageSegmentation; is this a BiRefNet?")
    model = get_class_from_dynamic_module(reference, str(folder))(config)
    missing, _ = model.load_state_dict(load_file(str(folder / WEIGHTS_FILE)), strict=False)
    if missing:
        raise CaptureError(f"{folder}/{WEIGHTS_FILE} does not fit its model: {missing[0]} and perhaps others are missing")
    return model


def _predict(model: torch.nn.Module, frames: list[Path], device: torch.device) -> Iterator[np.ndarray]:
    """Yield mattes [H, W] uint8 in the order of `frames`; the network sees them squeezed to squares, as in training."""
    import cv2
    import torch

    at_once = 8 if device.type == "cuda" else 1
    mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)
    dtype = next(model.parameters()).dtype
    for start in range(0, len(frames), at_once):
        pictures = [cv2.cvtColor(read_picture(path), cv2.COLOR_BGR2RGB) for path in frames[start : start + at_once]]
        squares = [cv2.resize(p, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_LINEAR) for p in pictures]
        batch = (np.stack(squares).astype(np.float32) / 255 - mean) / deviation
        with torch.inference_mode():
            batch = torch.from_numpy(batch).permute(0, 3, 1, 2).to(device, dtype)
            mattes = model(batch)[-1].sigmoid().float().cpu().numpy()[:, 0]
        for matte, picture in zip(mattes, pictures, strict=True):
            height, width = picture.shape[:2]
            resized = cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR)
            yield np.round(255 * resized).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(install())
