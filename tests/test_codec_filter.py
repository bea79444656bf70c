"""A filter survives its coding, goes over a picture as torch's convolutions do, and is kept only where it pays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_field import DENSE, tiny_bundle
from torch.nn import functional

from nerfsem_method.codec import nsem
from nerfsem_method.codec.coder import Decoder, Encoder
from nerfsem_method.codec.filter import WIDEST, Filter, code_filter
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.field.state import QuantisedTensor
from nerfsem_method.playback.player import Player
from nerfsem_method.raycast.filtering import filtered
from nerfsem_method.training.filter import find_filter


def drawn(width: int, seed: int = 0) -> Filter:
    """Return a filter of random weights."""
    generator = np.random.default_rng(seed)
    first = generator.integers(-60, 61, (width, 4, 3, 3)).astype(np.int32)
    second = generator.integers(-60, 61, (4, width, 3, 3)).astype(np.int32)
    return Filter(QuantisedTensor(first, -5), QuantisedTensor(second, -9))


def by_torch(picture: np.ndarray, kept: Filter) -> np.ndarray:
    """Return what FORMAT.md, section 8, says, by torch's convolutions."""
    first, second = map(torch.from_numpy, kept.layers)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]

    def edged(values: torch.Tensor) -> torch.Tensor:
        return functional.pad(values, (1, 1, 1, 1), mode="replicate")

    moved = x + functional.conv2d(edged(functional.conv2d(edged(x), first).relu()), second)
    alpha = moved[:, 3:].clamp(0, 1)
    both = torch.cat([torch.minimum(moved[:, :3].clamp(min=0), alpha), alpha], 1)
    return both[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (5, 90), (70, 9)])
@pytest.mark.parametrize("margin", [0, 3])
def test_a_filter_is_two_convolutions(size: tuple[int, int], margin: int) -> None:
    """Small and long pictures, with an object up to their edges or within them: as torch has it."""
    generator = np.random.default_rng(1)
    inner = generator.random((*size, 4)).astype(np.float32)
    inner[..., :3] *= inner[..., 3:]
    picture = np.pad(inner, ((margin, margin), (margin, margin), (0, 0)))
    kept = drawn(7)
    np.testing.assert_allclose(filtered(picture, *kept.layers), by_torch(picture, kept), atol=2e-6)


def test_what_is_transparent_stays_so() -> None:
    """There are no biases: nothing appears where nothing is near."""
    picture = np.zeros((9, 9, 4), np.float32)
    assert not filtered(picture, *drawn(5).layers).any()
    picture[0, 0] = 1
    assert not filtered(picture, *drawn(5).layers)[3:, 3:].any()


@pytest.mark.parametrize("width", [1, 12, WIDEST])
def test_a_filter_survives_its_coding(width: int) -> None:
    """What is decoded is what was coded, to the last weight."""
    made = drawn(width)
    code_filter(encoder := Encoder(), made)
    read = code_filter(Decoder(encoder.finish()), None)
    for before, after in ((made.first, read.first), (made.second, read.second)):
        assert (before.integers == after.integers).all() and before.exponent == after.exponent


@pytest.mark.parametrize("width", [0, WIDEST + 1, 1 << 30])
def test_a_width_that_no_encoder_writes_is_refused(width: int) -> None:
    """Nothing is allocated for it."""
    (encoder := Encoder()).integers(np.array([width]), 1)
    with pytest.raises(CorruptBundle, match="filter"):
        code_filter(Decoder(encoder.finish()), None)


def test_a_bundle_plays_through_its_filter() -> None:
    """Frames of the clip go through it, and views from elsewhere do not."""
    plain = tiny_bundle(DENSE)
    sharp = nsem.decode(nsem.encode(replace(plain, filter=drawn(6))))
    without, with_it = Player(plain.quantised(), "cpu"), Player(sharp, "cpu")
    want = by_torch(without.premultiplied(1), drawn(6))
    np.testing.assert_allclose(with_it.premultiplied(1), want, atol=1e-5)
    assert abs(want - without.premultiplied(1)).max() > 0.05


def blurred_clip(bundle: nsem.Bundle) -> list[np.ndarray]:
    """Return frames of which the bundle's are a darker version: uint8 [H, W, 4], straight alpha."""
    frames = []
    for index in range(len(bundle.poses)):
        rgba = Player(bundle, "cpu").frame(index).astype(np.float32)
        rgba[..., :3] = (rgba[..., :3] * 1.25).clip(0, 255)
        frames.append(rgba.astype(np.uint8))
    return frames


@pytest.mark.parametrize("zooms", [None, [1, 2, 2, 1, 0.5, 1.5]], ids=["one lens", "lenses"])
def test_a_filter_is_found_where_it_pays(zooms: list[float] | None) -> None:
    """Frames that a filter can mend get one, which plays better; at a high price for bytes there is none, nor without steps."""
    bundle = replace(tiny_bundle(DENSE), zooms=None if zooms is None else np.array(zooms)).quantised()
    clip = blurred_clip(bundle)
    numbers = list(range(len(clip)))
    found = find_filter(bundle, clip.__getitem__, numbers, 60, 1e-9)
    assert found.filter is not None and found.decibels > 1

    def error(played: nsem.Bundle) -> float:
        player = Player(played, "cpu")
        shown = np.stack([player.composited(i, (255, 255, 255)) for i in numbers]).astype(float)
        alpha = np.stack(clip)[..., 3:] / 255.0
        return float(np.square(shown - np.stack(clip)[..., :3] * alpha - 255 * (1 - alpha)).mean())

    sharp = nsem.decode(nsem.encode(replace(bundle, filter=found.filter)))
    assert error(sharp) < 0.8 * error(bundle)
    assert find_filter(bundle, clip.__getitem__, numbers, 60, 1.0).filter is None
    assert find_filter(bundle, clip.__getitem__, numbers, 0, 1e-9).filter is None
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = find_filter(bundle, clip.__getitem__, numbers, 60, 1e-9)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert again.filter is not None and (again.filter.first.integers == found.filter.first.integers).all()
