"""Tints are found where frames differ in colour by more than the clip's own noise, and cost no more than they gain."""

import numpy as np
import torch

from nerfsem_method.training.tint import ColorEvidence, estimate

FREE = 0.0


def _clip(maps: np.ndarray, noise: float = 0.0) -> list[ColorEvidence | None]:
    """Return evidence of frames [N, 3, 4] that show the same random colours, each through its map."""
    rng = np.random.default_rng(0)
    colours = rng.random((500, 3)) * 0.6 + 0.2
    seen = [colours @ m[:, :3].T + m[:, 3] + noise * rng.normal(size=colours.shape) for m in maps]
    return [ColorEvidence.of(torch.from_numpy(colours), torch.from_numpy(target)) for target in seen]


def _changing(count: int) -> np.ndarray:
    """Return maps that vary along one direction: brighter and warmer, with a lifted black."""
    direction = np.array([[0.3, 0.05, 0, 0.02], [0, 0.2, 0, 0.02], [0, 0, 0.1, 0.04]])
    return np.eye(3, 4) + np.sin(np.arange(count))[:, None, None] * direction


def test_colours_of_one_direction_take_one_direction():
    clip = _clip(_changing(30))
    tints = estimate(clip, byte_weight=1e-6)
    assert tints is not None and tints.rank == 1
    maps = torch.from_numpy(tints.matrices())
    left = sum(found.error(m) for found, m in zip(clip, maps, strict=True) if found)
    assert left < 0.02 * sum(found.error(torch.eye(4, dtype=torch.float64)[:3]) for found in clip if found)


def test_a_clip_of_one_colour_has_no_tints():
    assert estimate(_clip(np.repeat(np.eye(3, 4)[None], 20, 0), noise=0.02), FREE) is None
    assert estimate([None, None], FREE) is None


def test_what_does_not_pay_is_left_out():
    clip = _clip(_changing(30), noise=0.01)
    assert estimate(clip, byte_weight=1.0) is None


def test_a_frame_of_which_nothing_is_known_keeps_the_clips_colours():
    clip = _clip(_changing(12))
    clip[5] = None
    tints = estimate(clip, FREE)
    assert tints is not None
    np.testing.assert_allclose(tints.matrices()[5], np.eye(3, 4), atol=0.02)


def test_a_change_of_the_whole_clip_is_the_fields_business():
    """A colour that all frames have in common belongs into the field, not into the frames."""
    clip = _clip(np.repeat((np.eye(3, 4) * 1.2)[None], 10, 0))
    assert estimate(clip, FREE) is None
