"""Poses of a finished field are as exact as its pictures ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tiny_field import DENSE, tiny_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.playback.player import Player
from nerfsem_method.training.pose_rounding import COARSER, with_rounded_poses


def off_the_grid(frames: int = 12) -> Bundle:
    """Return a bundle whose poses are no round numbers."""
    made = tiny_bundle(DENSE, frames)
    shift = np.random.default_rng(0).normal(size=(frames, 3)) * 1e-2
    poses = made.poses + np.pad(shift[..., None], ((0, 0), (0, 0), (3, 0)))
    width, height = 96, 128
    video = replace(made.video, width=width, height=height)
    return replace(made, video=video, camera=made.camera.scaled(width, height), poses=poses)


def own_frames(bundle: Bundle, seen: list[int]) -> list[np.ndarray | None]:
    """Return what the bundle shows in the `seen` frames, uint8 [H, W, 4], and nothing of the others."""
    player = Player(bundle, "cpu")
    return [player.frame(index) if index in seen else None for index in range(len(bundle.poses))]


def test_poses_are_as_coarse_as_the_price_of_a_byte_makes_them() -> None:
    """Where bytes cost nothing a clip is met best, where they cost much poses are coarsest; other frames are not looked at."""
    bundle, seen = off_the_grid(), list(range(0, 12, 2))
    clip = own_frames(bundle, seen)
    free, dear = (with_rounded_poses(bundle, clip.__getitem__, seen, price) for price in (0.0, 1.0))

    def error(made: Bundle) -> float:
        shown = own_frames(made, seen)
        return float(np.mean([np.square(shown[i].astype(float) - clip[i]).mean() for i in seen]))

    assert error(free) < 0.7 * error(dear)
    assert len(nsem.encode(dear)) < len(nsem.encode(free))


def test_coarse_poses_are_written_as_they_are() -> None:
    """A decoder holds them, and a bundle that is written again has the same bytes."""
    dear = off_the_grid().quantised(COARSER[-1])
    data = nsem.encode(dear)
    np.testing.assert_array_equal(nsem.decode(data).poses, dear.poses)
    assert nsem.encode(nsem.decode(data)) == data == nsem.encode(dear.quantised())


def test_without_frames_poses_are_fine() -> None:
    """A training that saw no frame has nothing to go by."""
    bundle = off_the_grid()
    made = with_rounded_poses(bundle, own_frames(bundle, []).__getitem__, [], 0.0)
    np.testing.assert_array_equal(made.poses, bundle.quantised().poses)
