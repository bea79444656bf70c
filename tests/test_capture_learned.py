"""RMBG-2.0 and BiRefNet, played by a tiny local model of the same shape; nothing is downloaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nerfsem_dataparsers.capture import learned
from nerfsem_dataparsers.capture.mattes import load_mattes
from nerfsem_method.errors import CaptureError

SIZE = (36, 64)

MODELLING = """\
import torch
from transformers import PretrainedConfig, PreTrainedModel


class TinyConfig(PretrainedConfig):
    model_type = "tiny_segmenter"


class TinySegmenter(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.mix = torch.nn.Conv2d(3, 1, 1)

    def forward(self, pictures):
        assert pictures.shape[1:] == (3, 1024, 1024)
        return [torch.zeros(()), self.mix(pictures)]
"""
CONFIG = {
    "model_type": "tiny_segmenter",
    "auto_map": {
        "AutoConfig": "tiny_modelling.TinyConfig",
        "AutoModelForImageSegmentation": "tiny_modelling.TinySegmenter",
    },
}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))


@pytest.fixture
def weights(tmp_path) -> Path:
    """A model whose answer is ten times the red channel, normalised as ImageNet's."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tiny_modelling.py").write_text(MODELLING)
    mix = torch.tensor([10.0, 0, 0]).reshape(1, 3, 1, 1)
    save_file({"mix.weight": mix, "mix.bias": torch.zeros(1)}, str(folder / "model.safetensors"))
    return folder


@pytest.fixture
def frames(tmp_path) -> list[Path]:
    """A red square that moves over blue."""
    folder = tmp_path / "frames"
    folder.mkdir()
    paths = []
    for index in range(3):
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        picture[..., 0] = 255
        picture[10 + 10 * index : 30 + 10 * index, 8:28] = (0, 0, 255)
        paths.append(folder / f"{index:06d}.png")
        cv2.imwrite(str(paths[-1]), picture)
    return paths


@pytest.fixture
def target(tmp_path) -> Path:
    (tmp_path / "mattes").mkdir()
    return tmp_path / "mattes"


@pytest.mark.parametrize(("name", "licence"), [("rmbg", "non-commercial"), ("birefnet", "MIT")])
def test_every_frame_gets_its_matte_and_the_licence_is_told(name, licence, frames, weights, target, capsys):
    told = []
    learned.segment(frames, name, weights, target, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    mattes = load_mattes(target)
    assert mattes.shape == (3, SIZE[1], SIZE[0])
    for index, matte in enumerate(mattes):
        inside = np.zeros(matte.shape, bool)
        inside[10 + 10 * index : 30 + 10 * index, 8:28] = True
        np.testing.assert_array_equal(matte > 127, inside)
    assert licence in " ".join(capsys.readouterr().out.split())


def test_revisions_are_pinned():
    assert all(len(release.revision) == 40 and int(release.revision, 16) for release in learned.RELEASES.values())


def refused(frames, weights, target) -> str:
    with pytest.raises(CaptureError) as raised:
        learned.segment(frames, "rmbg", weights, target, lambda done, total: None)
    message = str(raised.value)
    assert "\n" not in message
    assert not list(target.iterdir())
    return message


def test_a_folder_without_a_model_is_named(frames, weights, target, tmp_path):
    (weights / "model.safetensors").unlink()
    assert str(weights) in refused(frames, weights, target)
    assert "nowhere" in refused(frames, tmp_path / "nowhere", target)


def test_weights_of_another_model_are_refused(frames, weights, target):
    save_file({"other": torch.zeros(1)}, str(weights / "model.safetensors"))
    assert "mix." in refused(frames, weights, target)


def test_a_model_that_is_no_segmenter_is_refused(frames, weights, target):
    broken = {**CONFIG, "auto_map": {"AutoConfig": "tiny_modelling.TinyConfig"}}
    (weights / "config.json").write_text(json.dumps(broken))
    assert "BiRefNet" in refused(frames, weights, target)


def test_missing_packages_have_a_remedy(frames, weights, target, monkeypatch):
    source = weights / "tiny_modelling.py"
    source.write_text("import a_package_that_is_not_there\n" + MODELLING)
    message = refused(frames, weights, target)
    assert "a_package_that_is_not_there" in message and "--segmenter classical" in message
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "--mattes" in refused(frames, weights, target)


@pytest.mark.parametrize("kind", ["gated", "offline"])
def test_a_download_that_fails_has_a_remedy(kind, frames, target, monkeypatch):
    from httpx import Request, Response
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

    answer = Response(403, request=Request("GET", "https://example.org"))
    error = GatedRepoError("no\nentry", response=answer) if kind == "gated" else LocalEntryNotFoundError("no\nnetwork")

    def fail(repository, revision, **_):
        assert (repository, revision) == ("briaai/RMBG-2.0", learned.RELEASES["rmbg"].revision)
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    message = refused(frames, None, target)
    assert ("gated" in message) == (kind == "gated")
    assert "--segmenter-weights" in message and "--segmenter classical" in message
