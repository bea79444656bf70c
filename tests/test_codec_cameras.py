"""Coded cameras are small, close enough, and the same on both sides."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from nerfsem_method.codec.cameras import Cameras, code_cameras, quantise
from nerfsem_method.codec.coder import Coder, Decoder, Encoder, Meter
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.scene.camera import Intrinsics

BOX = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T.astype(np.float64)
CAMERA = Intrinsics(270, 480, 561.3, 559.9, 134.2, 241.7, 0.031, -0.02, 1e-4, -2e-4)


def rotation(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    matrix[np.ix_([(axis + 1) % 3, (axis + 2) % 3], [(axis + 1) % 3, (axis + 2) % 3])] = [[c, -s], [s, c]]
    return matrix


def orbit(frames: int, shake: float, seed: int = 0) -> np.ndarray:
    """Return the poses of a hand-held turn around the unit cube: smooth noise lies on aim and distance."""
    noise = np.random.default_rng(seed).normal(size=(frames + 20, 6)) * shake
    noise = np.stack([np.convolve(column, np.ones(21) / 21, "valid") for column in noise.T], -1)
    poses = np.zeros((frames, 3, 4))
    for i in range(frames):
        turn = rotation(1, 2 * np.pi * i / frames + noise[i, 2])
        matrix = rotation(0, 0.3 + noise[i, 0]) @ rotation(2, noise[i, 1]) @ turn
        centre = np.array([noise[i, 3], noise[i, 4], 2 + noise[i, 5]])
        poses[i] = np.concatenate([matrix, (centre - matrix @ np.full(3, 0.5))[:, None]], 1)
    return poses


def cameras(frames: int = 60, shake: float = 0.1, gains: np.ndarray | None = None) -> Cameras:
    return Cameras(CAMERA, orbit(frames, shake), np.ones((frames, 3), np.float32) if gains is None else gains)


def written(value: Cameras) -> tuple[Cameras, bytes]:
    encoder = Encoder()
    held = code_cameras(encoder, value, len(value.poses))
    return held, encoder.finish()


def assert_same(a: Cameras, b: Cameras) -> None:
    assert a.camera == b.camera
    np.testing.assert_array_equal(a.poses, b.poses)
    np.testing.assert_array_equal(a.gains, b.gains)


def box_error(a: Cameras, b: Cameras) -> float:
    """Return the largest displacement of a corner of the unit cube, in pixels."""
    return max(
        np.linalg.norm(a.camera.project(BOX, p)[0] - b.camera.project(BOX, q)[0], axis=-1).max()
        for p, q in zip(a.poses, b.poses, strict=True)
    )


@pytest.mark.parametrize("frames", [1, 2, 3, 60])
def test_the_decoder_gets_what_the_encoder_held(frames):
    gains = np.exp2(np.random.default_rng(1).normal(size=(frames, 3)) / 4).astype(np.float32)
    held, data = written(cameras(frames, gains=gains))
    assert_same(code_cameras(Decoder(data), None, frames), held)
    assert_same(quantise(cameras(frames, gains=gains)), held)


@pytest.mark.parametrize("width", [270, 1080])
def test_the_box_moves_less_than_a_fifth_of_a_pixel(width):
    original = dataclasses.replace(cameras(), camera=CAMERA.scaled(width, width * 16 // 9))
    assert 0.02 < box_error(original, quantise(original)) < 0.2


def test_one_close_view_does_not_make_all_poses_finer_and_stays_as_exact_as_it_needs():
    def bits(poses: np.ndarray) -> float:
        meter = Meter()
        code_cameras(meter, dataclasses.replace(cameras(), poses=poses), len(poses))
        return meter.bits

    near = orbit(60, 0.1)
    near[30, 2, 3] -= 0.9
    assert bits(near) - bits(orbit(60, 0.1)) < 200
    original = dataclasses.replace(cameras(), poses=near)
    assert box_error(original, quantise(original)) < 0.25


def test_a_close_view_among_far_ones_stays_exact():
    far = orbit(60, 0.1)
    far[np.arange(60) != 30, 2, 3] += 20
    original = dataclasses.replace(cameras(), poses=far)
    assert box_error(original, quantise(original)) < 0.3


def test_quantised_cameras_are_already_on_the_grid():
    held = quantise(cameras())
    again = quantise(held)
    np.testing.assert_allclose(again.poses, held.poses, atol=1e-12)
    assert again.camera == held.camera


@pytest.mark.parametrize("frames", [1, 3, 60])
@pytest.mark.parametrize("width", [180, 360, 720])
@pytest.mark.parametrize("coarser", [2**0.5, 2, 2**1.5, 8])
def test_poses_that_were_rounded_more_coarsely_stay_so_in_the_same_bits(coarser, width, frames):
    original = dataclasses.replace(cameras(frames), camera=CAMERA.scaled(width, width * 16 // 9))
    first, again = Meter(), Meter()
    coarse = code_cameras(first, original, frames, coarser)
    assert_same(code_cameras(again, coarse, frames), coarse)
    assert frames < 60 or again.bits == first.bits


def test_coarser_poses_take_fewer_bits_and_are_further_off():
    fine, coarse = Meter(), Meter()
    held = [code_cameras(meter, cameras(), 60, times) for meter, times in ((fine, 1), (coarse, 4))]
    assert fine.bits - coarse.bits > 60 * 6
    assert box_error(cameras(), held[1]) > 2 * box_error(cameras(), held[0])


def test_decoded_rotations_are_rotations_even_after_a_full_turn():
    held = quantise(cameras(200))
    products = np.einsum("nij,nkj->nik", held.poses[:, :, :3], held.poses[:, :, :3])
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-12)


def test_jumps_of_half_a_turn_survive():
    poses = orbit(4, 0.0)
    poses[2] = poses[2] @ np.diag([-1.0, 1, -1, 1])
    original = Cameras(CAMERA, poses, np.ones((4, 3), np.float32))
    assert box_error(original, quantise(original)) < 0.2


def test_a_smooth_turn_costs_few_bytes():
    _, data = written(cameras(120))
    assert len(data) < 7 * 120


def test_constant_exposure_costs_nothing_and_changing_exposure_is_close():
    def bits(gains: np.ndarray) -> float:
        meter = Meter()
        code_cameras(meter, cameras(gains=gains), 60)
        return meter.bits

    constant = np.ones((60, 3), np.float32)
    measured = (1 + np.random.default_rng(2).uniform(-0.002, 0.002, (60, 3))).astype(np.float32)
    changing = np.exp2(np.linspace(-1, 1, 60)[:, None] * [1, 1.1, 0.9]).astype(np.float32)
    assert bits(measured) == bits(constant)
    assert 60 < bits(changing) - bits(constant) < 8 * 60
    held = quantise(cameras(gains=changing)).gains
    np.testing.assert_allclose(held, changing, rtol=0.003)
    np.testing.assert_array_equal(quantise(cameras()).gains, constant)


class Scripted(Coder):
    """This decoder reads the integers that it is given, as from a hostile file."""

    def __init__(self, *calls: list[int]) -> None:
        self.calls = list(calls)

    def integers(self, values: np.ndarray | None, count: int) -> np.ndarray:
        call = self.calls.pop(0) if self.calls else [0] * count
        return np.resize(np.array(call, np.int64), count)


INTRINSICS = [270, 480, 1 << 16, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "calls",
    [
        ([0, 480, *INTRINSICS[2:]],),
        ([1 << 20, 480, *INTRINSICS[2:]],),
        ([270, 480, -5, *INTRINSICS[3:]],),
        (INTRINSICS, [-1, 14, 14]),
        (INTRINSICS, [16, 99, 14]),
        (INTRINSICS, [16, 14, 14], [1 << 17, 0, 0]),
        (INTRINSICS, [16, 14, 14], [0, 0, 0], [0, 4]),
        (INTRINSICS, [16, 14, 14], [0, 0, 0], [0, 3], [(1 << 39) - 1]),
        (INTRINSICS, [16, 14, 14], [0, 0, 0], [0, 3], [1 << 20]),
    ],
    ids=["no width", "wide", "focal", "bits", "fine", "turn", "order", "overflow", "long path"],
)
def test_impossible_values_are_corrupt(calls):
    with pytest.raises(CorruptBundle):
        code_cameras(Scripted(*calls), None, 20)


def test_any_bytes_give_cameras_or_a_named_error():
    rng = np.random.default_rng(3)
    for _ in range(50):
        try:
            held = code_cameras(Decoder(rng.bytes(40)), None, 30)
        except CorruptBundle:
            continue
        assert np.isfinite(held.poses).all() and np.isfinite(held.gains).all()


def test_input_that_is_not_finite_is_refused():
    original = cameras(3)
    original.poses[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        quantise(original)
    with pytest.raises(ValueError, match="fit"):
        code_cameras(Meter(), cameras(3), 4)


def test_poses_are_finer_for_the_lens_that_sees_them_larger():
    """Frames of eight times the focal length count as frames of a camera of eight times as many pixels do."""
    far = cameras()
    plain, larger = (quantise(dataclasses.replace(far, zooms=zooms)) for zooms in (None, np.full(60, 8.0)))
    many = quantise(dataclasses.replace(far, camera=CAMERA.zoomed(8)))
    np.testing.assert_array_equal(larger.poses, many.poses)
    moved = [dataclasses.replace(held, camera=many.camera) for held in (plain, larger)]
    original = dataclasses.replace(far, camera=many.camera)
    assert 2 * box_error(original, moved[1]) < 1 < box_error(original, moved[0])


def test_the_sample_clip_costs_at_most_7_bytes_a_frame():
    data = json.loads((Path(__file__).parent / "data" / "vase_cameras.json").read_text())
    poses = np.array(data["cam_from_world"])
    centres = poses[:, :, :3] @ np.array(data["relic_center"]) + poses[:, :, 3]
    poses[:, :, 3] = centres / 0.75 - poses[:, :, :3] @ np.full(3, 0.5)  # the vase is 0.75 m high
    camera = Intrinsics(*(data[key] for key in ("width", "height", "fx", "fy", "cx", "cy")))
    held, stream = written(Cameras(camera, poses, np.ones((len(poses), 3), np.float32)))
    assert len(stream) <= 7 * len(poses)
    assert box_error(Cameras(camera, poses, held.gains), held) < 0.25  # the mean is .1
