"""These tests run the learned segmenters' code with a tiny model of the same interface: a folder with own code and weights."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sphere_views import CAMERA, ring, sphere_mattes

from nerfsem_method.capture.cameras import normalise, poses
from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.ingest import ingest
from nerfsem_method.capture.mattes import learned, vote
from nerfsem_method.capture.mattes.given import load_mattes
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.scene import Scene

pytest.importorskip("transformers")

CODE = '''
import torch
from transformers import PretrainedConfig, PreTrainedModel

class TinyConfig(PretrainedConfig):
    model_type = "tiny"

class Tiny(PreTrainedModel):
    """Like the published models, this never calls post_init() and returns a list that ends with the logits."""
    config_class = TinyConfig

    def __init__(self, bb_pretrained=True, config=None):
        super().__init__(config or bb_pretrained)
        self.head = torch.nn.Conv2d(3, 1, 1)
        self.seen = 0

    def forward(self, x):
        assert x.shape[-2:] == (1024, 1024)
        logits = self.head(x)
        for picture in logits:  # it finds nothing, or everything, in some frames, whatever they show
            picture += {"nothing": -99, "all": 99, "": 0}[getattr(self.config, "failures", {}).get(str(self.seen), "")]
            self.seen += 1
        return [torch.zeros_like(x[:, :1]), logits]
'''


@pytest.fixture(autouse=True)
def private_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the code out of the user's cache, to which transformers copies a model's code before it imports it."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The model's logit is 20 * (red - 0.5) of the picture in [0, 1]."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "modeling_tiny.py").write_text(CODE)
    save_config(folder)
    weight = torch.zeros(1, 3, 1, 1)
    weight[0, 0] = 20 * learned.DEVIATION[0]
    bias = torch.tensor([20 * (learned.MEAN[0] - 0.5)])
    save_file({"head.weight": weight, "head.bias": bias}, str(folder / learned.WEIGHTS_FILE))
    return folder


def save_config(folder: Path, **more: object) -> None:
    names = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModelForImageSegmentation": "modeling_tiny.Tiny"}
    (folder / "config.json").write_text(json.dumps({"model_type": "tiny", "auto_map": names, **more}))


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    """Two frames are red on the left and blue on the right half."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30, 0] = 255
    picture[:, 30:, 2] = 255
    paths = [tmp_path / f"{i:06d}.png" for i in range(2)]
    for path in paths:
        Image.fromarray(picture).save(path)
    return paths


def run(frames: list[Path], weights: Path, tmp_path: Path, name: str = "birefnet") -> np.ndarray:
    """Return the mattes that a model draws."""
    target = tmp_path / "mattes"
    target.mkdir()
    learned.segment(frames, name, weights, target, lambda done, total: None)
    return load_mattes(target)


def test_the_last_output_becomes_a_matte_of_the_frames_size(frames, weights, tmp_path) -> None:
    mattes = run(frames, weights, tmp_path)
    assert mattes.shape == (2, 40, 60)
    assert (mattes[:, :, :27] > 250).all() and (mattes[:, :, 33:] < 5).all()


def test_the_licence_is_told_before_use(frames, weights, tmp_path, capsys) -> None:
    run(frames, weights, tmp_path, "rmbg")
    assert "non-commercial" in capsys.readouterr().out


def test_a_folder_without_a_model_is_named(frames, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptureError, match=r"empty holds no segmentation model: config\.json"):
        run(frames, tmp_path / "empty", tmp_path)


def test_weights_of_another_model_are_refused(frames, weights, tmp_path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"tail.bias": torch.zeros(1)}, str(weights / learned.WEIGHTS_FILE))
    with pytest.raises(CaptureError, match=r"does not fit its model: head\."):
        run(frames, weights, tmp_path)


def test_a_missing_package_names_the_way_out(frames, weights, tmp_path) -> None:
    code = weights / "modeling_tiny.py"
    code.write_text("import a_package_that_is_not_there\n" + code.read_text())
    way = r"a_package_that_is_not_there.*python -m nerfsem_method\.capture\.mattes\.learned.*--segmenter classical"
    with pytest.raises(CaptureError, match=way):
        run(frames, weights, tmp_path)


def test_its_own_packages_are_found_before_those_of_the_environment_and_by_it_alone(frames, weights, tmp_path, monkeypatch):
    """A newer `this` stands for a current timm, which is found before the one that nerfstudio holds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "this", raising=False)
    learned.packages_folder().mkdir(parents=True)
    (learned.packages_folder() / "this.py").write_text("red_layer = 'new'")
    code = weights / "modeling_tiny.py"
    code.write_text("from this import red_layer\n" + code.read_text())
    before = list(sys.path)
    assert run(frames, weights, tmp_path).any()
    assert sys.path == before
    monkeypatch.delitem(sys.modules, "this")


def test_its_packages_are_installed_beside_the_environment_not_into_it(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(learned.subprocess, "run", lambda words: asked.append(words) or CompletedProcess(words, 3))
    assert learned.install() == 3
    (words,) = asked
    assert words[words.index("--target") + 1].startswith(str(tmp_path)) and "--no-deps" in words
    assert {word.partition("==")[0] for word in words if "==" in word} == {"timm", "kornia", "kornia-rs", "einops"}


@pytest.mark.parametrize(("failure", "remedy"), [("gated", "hf auth login"), ("offline", "--segmenter-weights")])
def test_a_download_that_fails_names_the_way_out(frames, tmp_path, monkeypatch, failure: str, remedy: str) -> None:
    import huggingface_hub
    from huggingface_hub import errors

    def fail(*args: object, **kwargs: object) -> None:
        gated = errors.GatedRepoError.__new__(errors.GatedRepoError)
        raise gated if failure == "gated" else errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CaptureError, match=f"{remedy}.*--segmenter classical"):
        learned.segment(frames, "rmbg", None, tmp_path, lambda done, total: None)


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    """A red ball is seen before a blue wall by a ring of cameras, which stand in for COLMAP's; voxels are coarse."""
    import imageio_ffmpeg

    cameras = ring(16)
    nothing = (np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros((0, 4)))
    model = SparseModel(CAMERA, cameras, np.ones(len(cameras), bool), *nothing, 0.4, 5)
    monkeypatch.setattr(poses, "solve", lambda frames, mattes, region, advance, ordered, zooms: model)
    monkeypatch.setattr(vote, "COARSE", 32)
    monkeypatch.setattr(vote, "FINE", 40)
    monkeypatch.setattr(normalise, "ROUNDS", (24, 32))
    size = CAMERA.width, CAMERA.height
    writer = imageio_ffmpeg.write_frames(str(tmp_path / "ball.mp4"), size, macro_block_size=1, output_params=["-crf", "4"])
    writer.send(None)
    for ball in sphere_mattes(CAMERA, cameras):
        writer.send(np.where(ball[..., None] > 0, (230, 0, 0), (0, 0, 160)).astype(np.uint8).tobytes())
    writer.close()
    return tmp_path / "ball.mp4"


def captured(clip: Path, weights: Path, scene_dir: Path) -> tuple[Scene, np.ndarray]:
    """Return the scene that a model's mattes give, and the mattes."""
    scene = ingest(clip, CaptureOptions(segmenter="birefnet", segmenter_weights=weights), scene_dir)
    return scene, np.stack([np.asarray(Image.open(scene.root / frame.matte)) for frame in scene.frames])


def test_frames_in_which_the_network_fails_are_set_right_by_the_others(clip, weights, tmp_path) -> None:
    good, right = captured(clip, weights, tmp_path / "good")
    assert not any("redrawn" in warning for warning in read_report(good.root).warnings)
    failures = {5: "nothing", 6: "nothing", 9: "nothing", 12: "all"}
    save_config(weights, failures=failures)
    scene, mattes = captured(clip, weights, tmp_path / "scene")
    others = ~np.isin(np.arange(len(right)), list(failures))
    np.testing.assert_array_equal(mattes[others], right[others])
    ours, true = mattes[~others] > 127, right[~others] > 127
    assert ((ours & true).sum((1, 2)) / (ours | true).sum((1, 2))).min() > 0.9
    assert any("in frames 5-6, 9, 12 and was redrawn" in warning for warning in read_report(scene.root).warnings)
    assert np.allclose(scene.poses, good.poses, atol=0.06)  # cameras may move by 2 % of their distance


def stopped(*args: object) -> None:
    """Stop as on Ctrl-C."""
    raise KeyboardInterrupt


def test_the_network_is_not_asked_again_after_a_stop_nor_for_other_cameras(clip, weights, tmp_path, monkeypatch) -> None:
    save_config(weights, failures={5: "nothing"})
    whole, mattes = captured(clip, weights, tmp_path / "whole")
    root = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        patched.setattr(vote, "refine", stopped)
        with pytest.raises(KeyboardInterrupt):
            captured(clip, weights, root)
    assert not (root / "mattes").exists()
    monkeypatch.setattr(learned, "segment", stopped)
    np.testing.assert_array_equal(captured(clip, weights, root)[1], mattes)
    assert (root / "report.json").read_bytes() == (whole.root / "report.json").read_bytes()
    monkeypatch.setattr(vote, "set_right", stopped)
    captured(clip, weights, root)  # nothing is left to do
    others = CaptureOptions(segmenter="birefnet", segmenter_weights=weights, sfm_region="frame")
    with pytest.raises(KeyboardInterrupt):  # other cameras may judge the mattes otherwise
        ingest(clip, others, root)


def published_code() -> Path:
    """Return a folder with BiRefNet's published code and config.json, from NERFSEM_BIREFNET_CODE or from the hub's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if (given := os.environ.get("NERFSEM_BIREFNET_CODE")) is not None:
        return Path(given)
    release = learned.RELEASES["birefnet"]
    try:
        found = Path(snapshot_download(release.repository, revision=release.revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        found = Path()
    if not (found / "config.json").is_file():
        pytest.skip("BiRefNet's code is neither in the hub's cache nor named by NERFSEM_BIREFNET_CODE")
    return found


@pytest.mark.slow
def test_the_published_architecture_runs_from_end_to_end_with_random_weights(frames, tmp_path) -> None:
    """The code is the published one; what it draws means nothing, but it draws something of the frames' size."""
    from safetensors.torch import save_file
    from transformers import AutoConfig
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    folder = tmp_path / "published"
    folder.mkdir()
    for path in published_code().iterdir():
        if path.suffix in (".py", ".json"):
            shutil.copy(path, folder)
    with learned.own_packages():
        try:
            config: Any = AutoConfig.from_pretrained(str(folder), trust_remote_code=True)
            reference = config.auto_map["AutoModelForImageSegmentation"]
            config.bb_pretrained = False
            model = get_class_from_dynamic_module(reference, str(folder))(config)
        except ImportError as error:
            pytest.skip(f"its packages are missing: {error}")
        save_file(model.state_dict(), str(folder / learned.WEIGHTS_FILE))
        del model
    mattes = run(frames[:1], folder, tmp_path)
    assert mattes.shape == (1, 40, 60) and np.ptp(mattes) > 0


def test_the_revisions_are_pinned() -> None:
    assert all(len(bytes.fromhex(release.revision)) == 20 for release in learned.RELEASES.values())
