"""HiNeRV's network: parameters as published, the same pictures in torch and NumPy, whole and in parts, and its section."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
import pytest
import torch
from neural_background import SHAPE, tiny_network
from tiny_field import tiny_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.codec.coder import Encoder
from nerfsem_method.codec.container import pack
from nerfsem_method.codec.hinerv import NeuralBackground, Shape, Stage, Tensor
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.hinerv.geometry import Span
from nerfsem_method.hinerv.painter import pictures
from nerfsem_method.hinerv.sizes import SIZES, recipe
from nerfsem_method.hinerv.training.network import Network
from nerfsem_method.scene.scene import Video

VIDEO = Video("tiny.mp4", 38, 45, 7, Fraction(10), "ab" * 32)
SIZE = VIDEO.frames, VIDEO.height, VIDEO.width


def published(channels: int, scales: str, features: int, tiles: int, keys: int, depths: str = "3331") -> Shape:
    return Shape(channels, keys, features, tiles, tuple(map(Stage, map(int, scales), map(int, depths), (4, 4, 4, 1))))


UVG, BUNNY, MCL = (600, 1080, 1920), (132, 720, 1280), (150, 1080, 1920)
PUBLISHED = {
    "UVG-S": (published(280, "5322", 2, 4, 150), UVG, "3.19"),
    "UVG-M": (published(400, "5322", 4, 8, 150), UVG, "6.49"),
    "UVG-L": (published(560, "5322", 8, 16, 150), UVG, "12.82"),
    "UVG-XL": (published(688, "5322", 16, 32, 150, "4441"), UVG, "25.65"),
    "UVG-XXL": (published(864, "5322", 32, 64, 150, "5551"), UVG, "50.72"),
    "UVG-a-S": (published(280, "5432", 2, 4, 600), UVG, "3.22"),
    "MCL-XXS": (published(136, "5322", 2, 4, 40), MCL, "0.78"),
    "MCL-XS": (published(196, "5322", 4, 8, 40), MCL, "1.61"),
    "MCL-S": (published(280, "5322", 8, 16, 40), MCL, "3.29"),
    "bunny-XXS": (published(136, "5222", 2, 4, 40), BUNNY, "0.77"),
    "bunny-XS": (published(196, "5222", 4, 8, 40), BUNNY, "1.59"),
    "bunny-S": (published(280, "5222", 8, 16, 40), BUNNY, "3.25"),
    "bunny-a-XXS": (published(136, "5422", 2, 4, 132), BUNNY, "0.76"),
}
"""HiNeRV's configurations, with the clips they are for and the millions of parameters that are published for them."""


@pytest.fixture(scope="module")
def network() -> NeuralBackground:
    return tiny_network(VIDEO)


@pytest.fixture(scope="module")
def weights(network) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(tensor.values) for name, tensor in network.tensors.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations_have_the_published_parameters(name):
    shape, clip, millions = PUBLISHED[name]
    assert f"{shape.parameters(*clip) / 1e6:.2f}" == millions


def test_sizes_grow_and_fit_clips_of_any_size():
    for clip in ((60, 480, 270), (200, 720, 1280), (8, 45, 34), (1, 16, 16)):
        counts = []
        for name in SIZES:
            made = recipe(name, *clip)
            made.shape.check(*clip)
            counts.append(made.shape.parameters(*clip))
        assert counts == sorted(counts) and counts[0] < counts[-1] < 4 << 20


def test_torch_and_numpy_paint_the_same(network, weights):
    painted = list(pictures(network, *SIZE))
    for index, picture in enumerate(painted):
        again = Network(SHAPE, *SIZE).paint(weights, index)[: VIDEO.height, : VIDEO.width].numpy() * 255
        assert np.abs(picture - again).max() < 1
    assert np.std(painted, axis=(0, 1, 2)).min() > 10  # they are pictures, not one colour
    assert all((one != other).mean() > 0.5 for one, other in zip(painted, painted[1:], strict=False))


@pytest.mark.parametrize("top, bottom, left, right", [(0, 9, 0, 11), (13, 30, 5, 38), (40, 48, 29, 42), (7, 8, 20, 21)])
def test_a_part_is_what_the_whole_frame_has_there(weights, top, bottom, left, right):
    torch_network = Network(SHAPE, *SIZE)
    part = torch_network.paint(weights, 3, Span(top, bottom, 48), Span(left, right, 42))
    torch.testing.assert_close(part, torch_network.paint(weights, 3)[top:bottom, left:right], atol=1e-5, rtol=0)


def test_pixels_of_one_cell_differ_by_their_tile_alone():
    """With a grid of one value everywhere, enlarging gives one value: what differs within a cell is the tile's."""
    shape = Shape(4, 1, 1, 1, (Stage(3, 1, 1),))
    made = tiny_network(replace(VIDEO, height=30, width=30), shape)
    flat = {name: Tensor(np.full_like(tensor.integers, 3), -16) for name, tensor in made.tensors.items() if "grid" in name}
    picture = next(pictures(NeuralBackground(shape, {**made.tensors, **flat}), VIDEO.frames, 30, 30)).astype(int)
    inner = picture[6:24, 6:24]
    assert (inner[3:] == inner[:-3]).all() and (inner[:, 3:] == inner[:, :-3]).all()
    assert (inner[1:] != inner[:-1]).any()


# The section ----------------------------------------------------------------------------------------------------------


def test_the_section_holds_the_network_in_few_bytes(network):
    payload = network.payload()
    read = NeuralBackground.from_payload(payload, *SIZE)
    assert read.shape == network.shape and read.tensors.keys() == network.tensors.keys()
    for name, tensor in network.tensors.items():
        np.testing.assert_array_equal(read.tensors[name].integers, tensor.integers)
        assert read.tensors[name].step == tensor.step
    assert len(payload) < SHAPE.parameters(*SIZE)
    empty = {name: Tensor(np.zeros_like(tensor.integers), 0) for name, tensor in network.tensors.items()}
    assert len(NeuralBackground(SHAPE, empty).payload()) < 100


def test_damaged_sections_are_refused_or_read(network):
    payload, rng, refused = network.payload(), np.random.default_rng(0), 0
    for _ in range(60):
        damaged = bytearray(payload[: rng.integers(1, len(payload))] if rng.random() < 0.5 else payload)
        damaged[rng.integers(min(len(damaged), 12))] ^= 1 << rng.integers(8)
        try:
            NeuralBackground.from_payload(bytes(damaged), *SIZE)
        except CorruptBundle:
            refused += 1
    assert refused > 30


def coded(numbers: list[int], stages: int) -> bytes:
    encoder = Encoder()
    encoder.integers(np.array([stages]), 1)
    encoder.integers(np.array(numbers), len(numbers))
    return encoder.finish()


@pytest.mark.parametrize(
    "numbers, stages, words",
    [
        ([8, 1, 1, 1], 0, "stages"),
        ([1024, 65536, 256, 256, 8, 8, 8], 1, "memory or time|larger"),
        ([8, 65536, 256, 1, 2, 1, 1], 1, "larger"),
        ([8, 1, 1, 1, 8, 1, 1, 8, 1, 1, 8, 1, 1], 3, "memory or time"),
        ([2, 1, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1], 3, "without channels"),
        ([8, 1, 1, 1, 9, 1, 1], 1, "out of range"),
        ([8, 0, 1, 1, 2, 1, 1], 1, "out of range"),
        ([8, 1, 1, 1, 2, -1, 1], 1, "out of range"),
    ],
)
def test_shapes_that_nobody_can_paint_are_refused_before_any_memory_is_taken(numbers, stages, words):
    tracemalloc.start()
    with pytest.raises(CorruptBundle, match=words):
        NeuralBackground.from_payload(coded(numbers, stages), 60, 1080, 1920)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_wild_weights_still_paint_bytes():
    """The largest integers and steps make no number that is none."""
    shape = Shape(4, 1, 1, 1, (Stage(2, 3, 8),))
    sizes = shape.tensor_shapes(1, 8, 8)
    tensors = {name: Tensor(32767 - np.arange(prod(size), dtype=np.int32).reshape(size) % 2, 0) for name, size in sizes.items()}
    assert next(pictures(NeuralBackground(shape, tensors), 1, 8, 8)).shape == (8, 8, 3)


def test_a_bundle_has_one_background_and_is_fp_without_it(network):
    plain = tiny_bundle()
    made = replace(plain, background=tiny_network(plain.video))
    data = nsem.encode(made)
    assert nsem.decode(data).mode == "pc" and nsem.sizes(data)["HNRV"] > 500
    dropped = nsem.drop_background(data)
    assert nsem.decode(dropped).mode == "fp" and "HNRV" not in nsem.sizes(dropped)
    twice = [*nsem.sections(made), nsem.Section("BACK", b"\0\0\0\0\0\0\x01")]
    with pytest.raises(CorruptBundle, match="two backgrounds"):
        nsem.decode(pack(twice))
