"""HiNeRV's training: the same bytes every time, nothing of the object, and what its users make of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from neural_background import tiny_network
from test_hinerv import PUBLISHED
from tiny_field import opaque_bundle

from nerfsem_method.background import neural
from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.sound import read_sound
from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.info import Info
from nerfsem_method.cli.verify import Verify
from nerfsem_method.codec import nsem
from nerfsem_method.evaluation import neural as neural_peer
from nerfsem_method.evaluation.peers import PEERS, run_peer
from nerfsem_method.hinerv.painter import pictures
from nerfsem_method.hinerv.sizes import Recipe, recipe
from nerfsem_method.hinerv.training.fit import fit, parts
from nerfsem_method.hinerv.training.network import Network, new_weights
from nerfsem_method.hinerv.training.rounding import Rounding
from nerfsem_method.media.video import StreamError
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import checkpoint

COUNT, HEIGHT, WIDTH = 4, 36, 30
SHORT = replace(recipe("small", COUNT, HEIGHT, WIDTH), epochs=60)


def trained(clip: tuple[np.ndarray, np.ndarray], chosen: Recipe):
    """Return the network of a recipe for frames and mattes."""
    return fit(clip[0], clip[1], chosen, lambda *told: None)


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, np.ndarray]:
    """Return frames that move, and mattes of an object in their middle."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = [np.stack([6 * x + 9 * i, 6 * y, 110 + 50 * np.sin((x + 2 * i) / 6)], -1) for i in range(COUNT)]
    matte = np.where((x - 15) ** 2 + (y - 18) ** 2 < 60, 255, 0).astype(np.uint8)
    return np.array(frames).clip(0, 255).astype(np.uint8), np.repeat(matte[None], COUNT, 0)


@pytest.fixture(scope="module")
def fitted(clip):
    return trained(clip, SHORT)


def error_outside(network, frames: np.ndarray, mattes: np.ndarray) -> float:
    painted = np.array(list(pictures(network, COUNT, HEIGHT, WIDTH))).astype(float)
    return float(((painted - frames) ** 2)[mattes == 0].mean())


def test_it_learns_the_background(fitted, clip):
    frames, mattes = clip
    assert error_outside(fitted, *clip) < 0.05 * frames[mattes == 0].var()


def test_the_object_does_not_count_and_equal_clips_give_equal_bytes(fitted, clip):
    frames, mattes = clip
    other = np.where(mattes[..., None] == 255, 255 - frames, frames)
    before = torch.get_num_threads()
    assert trained((other, mattes), SHORT).payload() == fitted.payload()
    assert torch.get_num_threads() == before
    changed = frames.copy()
    changed[:, :4] //= 2
    short = replace(SHORT, epochs=2)
    assert trained((changed, mattes), short).payload() != trained(clip, short).payload()


def test_a_larger_lambda_costs_fewer_bytes(fitted, clip):
    assert len(trained(clip, replace(SHORT, rate_weight=5e-4)).payload()) < 0.8 * len(fitted.payload())


def test_the_training_sees_the_weights_that_the_file_holds():
    """Rounded weights are the integers times the steps of the file, and kept ones are as they were."""
    sizes = SHORT.shape.tensor_shapes(COUNT, HEIGHT, WIDTH)
    rounding = Rounding(sizes)
    flat = rounding.flat(new_weights(SHORT.shape, COUNT, HEIGHT, WIDTH, torch.Generator().manual_seed(1)))
    steps = rounding.first_steps(flat) - 0.3
    rounded, bits = rounding.rounded(flat, steps)
    for name, tensor in rounding.stored(flat, steps).items():
        torch.testing.assert_close(rounding.apart(rounded)[name], torch.from_numpy(tensor.values))
    assert torch.equal(rounding.rounded(flat, steps, torch.ones(len(flat)) > 0)[0], flat)
    assert float(rounding.rounded(flat, steps - 1)[1]) == pytest.approx(float(bits) + len(flat), rel=0.1)


def test_the_bits_of_the_loss_are_about_those_of_the_file(fitted):
    rounding = Rounding(SHORT.shape.tensor_shapes(COUNT, HEIGHT, WIDTH))
    flat = rounding.flat({name: torch.from_numpy(tensor.values) for name, tensor in fitted.tensors.items()})
    steps = torch.tensor([tensor.step / 8 for tensor in fitted.tensors.values()])
    assert float(rounding.rounded(flat, steps)[1]) / 8 == pytest.approx(len(fitted.payload()), rel=0.15)


def test_parts_cover_a_frame_once():
    seen = np.zeros((500, 270), int)
    for rows, columns in parts(*seen.shape):
        seen[rows.start : rows.stop, columns.start : columns.stop] += 1
    assert (seen == 1).all() and len(parts(*seen.shape)) > 4


def test_a_published_shape_trains():
    shape, clip, _ = PUBLISHED["bunny-XXS"]
    network = Network(shape, *clip)
    weights = new_weights(shape, *clip, torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam([weight.requires_grad_() for weight in weights.values()], lr=2e-3)
    rows, columns = (replace(axis, start=300, stop=340) for axis in (network.rows, network.columns))
    losses = []
    for _ in range(5):
        optimiser.zero_grad()
        loss = (network.paint(weights, 70, rows, columns) - torch.tensor([0.2, 0.5, 0.7])).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


# Its users ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("neural") / "relic.nsem"
    made = opaque_bundle(background=False)
    nsem.write(path, replace(made, background=tiny_network(made.video)))
    return path


def test_frames_stand_over_the_painted_background(bundle):
    read = read_sound(bundle)
    assert isinstance(read.background, nsem.NeuralBackground)
    video = read.video
    painted = list(pictures(read.background, video.frames, video.height, video.width))
    for frame, ground in zip(Player(read, "cpu").frames("pc", start=3), painted[3:], strict=True):
        assert (frame[0, 0] == ground[0, 0]).all() and (frame[-1, -1] == ground[-1, -1]).all()
        assert (frame != ground).any(-1).mean() > 0.1


def test_the_verbs_know_it(bundle, tmp_path, capsys):
    Verify((bundle,)).run()
    Info((bundle,)).run()
    Decode(bundle, tmp_path / "frames").run()
    said = capsys.readouterr().out
    assert "background, a network" in said and "pc" in said
    assert len(list((tmp_path / "frames").glob("*.png"))) == nsem.read(bundle).video.frames


def test_an_export_takes_the_codec_and_size_that_are_asked_for(clip, monkeypatch):
    scene = SimpleNamespace(bundle=None, root=Path(), video=SimpleNamespace(rate=Fraction(30)), frames=[])
    monkeypatch.setattr(checkpoint, "_Pictures", lambda scene, names, kind: list(clip[0 if kind == "RGB" else 1]))
    taken: list[Recipe] = []
    monkeypatch.setattr(neural, "make_background", lambda frames, mattes, recipe: taken.append(recipe))
    for size in ("small", "large"):
        checkpoint.scene_background(scene, BackgroundOptions(codec="hinerv", size=size))  # pyright: ignore[reportArgumentType]
    assert taken == [recipe(size, COUNT, HEIGHT, WIDTH) for size in ("small", "large")]


def test_along_the_outline_it_is_given_the_background(clip, monkeypatch):
    """A frame's pixels within the matte never reach the network, not even where the matte is soft."""
    frames, mattes = clip
    soft = np.where(mattes == 255, 128, 0).astype(np.uint8)
    short = replace(SHORT, epochs=1)
    other = np.where(mattes[..., None] == 255, 255 - frames, frames)
    made = [neural.make_background(list(pictures), list(soft), short).payload() for pictures in (frames, other)]
    assert made[0] == made[1]


def test_it_is_a_peer(clip, monkeypatch):
    monkeypatch.setattr(neural_peer, "recipe", lambda *asked: replace(recipe(*asked), epochs=10))
    peer = PEERS["hinerv"]
    frames, mattes = clip
    point = run_peer(peer, peer.levels[-1], frames, mattes, Fraction(30))
    assert point.quality.frames == COUNT and point.quality.psnr > 15
    with pytest.raises(StreamError, match="stages"):
        list(peer.decode(b"\xff" * 40, WIDTH, HEIGHT, COUNT))
