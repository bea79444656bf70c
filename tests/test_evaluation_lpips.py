"""LPIPS is measured of ours and of the peers, where AlexNet's weights are; a small file of random ones stands in for them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from test_evaluation_report import PEER, evaluation
from tiny_field import opaque_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.evaluation import peers, study
from nerfsem_method.evaluation.metrics import Perceptual, load_lpips
from nerfsem_method.evaluation.references import Clip
from nerfsem_method.evaluation.report import plot_curves
from nerfsem_method.media.video import write_video
from nerfsem_method.playback.player import Player

SIZES = {"features.0": (64, 3, 11), "features.3": (192, 64, 5), "features.6": (384, 192, 3), "features.8": (256, 384, 3)}
SIZES |= {"features.10": (256, 256, 3)}
HEADS = {"classifier.1": (4096, 9216), "classifier.4": (4096, 4096), "classifier.6": (1000, 4096)}
NAME = "alexnet-owt-7be5be79.pth"


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """Put random convolutions of AlexNet's into torch's cache; its classifier, which LPIPS does not use, is one number."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, (out, inputs, side) in SIZES.items():
        state[f"{name}.weight"] = torch.randn(out, inputs, side, side, generator=generator) / (inputs * side * side) ** 0.5
        state[f"{name}.bias"] = torch.zeros(out)
    for name, (out, inputs) in HEADS.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.zeros(1).expand(out, inputs), torch.zeros(1).expand(out)
    path = tmp_path / "hub/checkpoints" / NAME
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    assert path.stat().st_size < 12e6
    return path


def test_it_is_0_for_equal_pictures_and_grows_with_the_difference(weights):
    distance = load_lpips()
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    near, far = (np.clip(picture.astype(int) + shift, 0, 255).astype(np.uint8) for shift in (9, 90))
    assert distance(picture, picture) == 0 < distance(picture, near) < distance(picture, far)


def test_without_weights_the_reason_says_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}.*{NAME}.*--download-lpips"):
        load_lpips()


def test_a_download_is_told_and_its_failure_is_a_reason(tmp_path, monkeypatch, capsys):
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", offline)
    with pytest.raises(OSError, match=f"no network.*put them at .*{NAME}"):
        load_lpips(download=True)
    assert "244 MB, once" in " ".join(capsys.readouterr().err.split())


def test_ours_and_the_peers_are_measured_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "load_lpips", lambda download: lambda a, b: float(np.abs(a.astype(int) - b).mean()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(study.PEERS, "x264", replace(peers.PEERS["x264"], options={"vcodec": "libx264"}, levels=(45,)))
    made = opaque_bundle(background=False)
    bundle, video, mattes = tmp_path / "ball.nsem", tmp_path / "ball.mp4", tmp_path / "mattes"
    bundle.write_bytes(nsem.encode(made))
    clip_of(made, video, mattes)
    found, _ = study.evaluate(Clip(video, mattes), [bundle], ("x264",), "cpu")
    (track,) = found.tracks
    (point,) = track.peers["x264"]
    assert track.ours.quality.lpips is not None and point.quality.lpips is not None and point.quality.lpips > 0


def clip_of(made: nsem.Bundle, video: Path, mattes: Path) -> None:
    """Write what a bundle shows as a clip with mattes."""
    from PIL import Image

    player = Player(made, "cpu")
    mattes.mkdir()
    for index in range(made.video.frames):
        Image.fromarray(player.frame(index)[..., 3]).save(mattes / f"{index:06d}.png")
    write_video(video, player.frames("fp"), Fraction(10))


def test_the_plot_has_a_curve_more_where_it_was_measured(tmp_path):
    from PIL import Image

    (track,) = evaluation().tracks
    plot_curves(tmp_path / "without.png", [track])
    measured = [replace(p, quality=replace(p.quality, lpips=0.2 + i / 9)) for i, p in enumerate((track.ours, *PEER))]
    plot_curves(tmp_path / "with.png", [replace(track, sweep={"relic": measured[0]}, peers={"x265": tuple(measured[1:])})])
    without, more = (np.asarray(Image.open(tmp_path / name).convert("L")) for name in ("without.png", "with.png"))
    last = np.s_[without.shape[0] * 6 // 10 :, without.shape[1] * 7 // 10 :]  # three plots stand in a row
    assert without[last].min() == 255 > more[last].min()


def test_a_measure_without_a_reason_was_not_asked_for():
    assert Perceptual().reason == "not asked for"
