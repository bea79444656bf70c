"""Tints come back exactly as they were written; what no encoder writes is refused."""

import numpy as np
import pytest

from nerfsem_method.codec.coder import Decoder, Encoder
from nerfsem_method.codec.tints import LARGEST, Tints, code_tints, tinted
from nerfsem_method.errors import CorruptBundle

FRAMES = 40


def _some(rank: int, frames: int = FRAMES) -> Tints:
    rng = np.random.default_rng(rank)
    weights = np.rint(20 * np.sin(np.arange(frames)[:, None] / 5 + np.arange(rank)))
    return Tints(rng.integers(-900, 900, (rank, 12)), weights.astype(np.int64))


def _written(tints: Tints) -> bytes:
    encoder = Encoder()
    code_tints(encoder, tints, len(tints.weights))
    return encoder.finish()


@pytest.mark.parametrize(("rank", "frames"), [(1, 1), (1, FRAMES), (3, FRAMES), (12, 300)])
def test_tints_come_back(rank, frames):
    tints = _some(rank, frames)
    held = code_tints(Decoder(_written(tints)), None, frames)
    np.testing.assert_array_equal(held.directions, tints.directions)
    np.testing.assert_array_equal(held.weights, tints.weights)
    np.testing.assert_array_equal(held.matrices(), tints.matrices())


def test_three_directions_cost_a_few_bytes_a_frame():
    assert len(_written(_some(3, 300))) < 4 * 300


def test_a_tint_maps_colours_and_black():
    tints = Tints(np.array([[4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2048]]), np.array([[0], [1]]))
    colour, alpha = np.array([[0.2, 0.3, 0.1]], np.float32), np.array([[0.5]], np.float32)
    np.testing.assert_allclose(tinted(colour, alpha, tints.matrices()[0]), colour)
    np.testing.assert_allclose(tinted(colour, alpha, tints.matrices()[1]), [[0.4, 0.3, 0.35]], atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        Tints.none(FRAMES),
        Tints(np.full((1, 12), LARGEST + 1), np.ones((FRAMES, 1), np.int64)),
        Tints(np.ones((1, 12), np.int64), np.full((FRAMES, 1), -LARGEST - 1)),
        Tints(np.ones((13, 12), np.int64), np.ones((FRAMES, 13), np.int64)),
    ],
)
def test_what_no_encoder_writes_is_refused(wrong):
    encoder = Encoder()
    encoder.integers(np.array([wrong.rank]), 1)
    encoder.integers(wrong.directions.ravel(), wrong.directions.size)
    for column in wrong.weights.T:
        encoder.integers(np.array([column[0], 0]), 2)
        encoder.integers(column[1:] - column[0], len(column) - 1)
    with pytest.raises(CorruptBundle):
        code_tints(Decoder(encoder.finish()), None, FRAMES)
