"""What is derived from tensors follows their changes, and is computed no more often than that."""

import copy

import numpy as np
import torch

from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.derived import Derived


def counting():
    """Return a source, a function that looks, and the list of all values that were made."""
    source, derived, made = torch.zeros(2), Derived(), []

    def look(of=source):
        return derived.of(lambda: made.append(float(of.sum())) or made[-1], of)

    return source, derived, made, look


def test_a_value_is_made_once_for_unchanged_tensors():
    _, _, made, look = counting()
    assert look() == look() == 0.0
    assert made == [0.0]


def test_a_change_in_place_or_another_tensor_makes_it_anew():
    source, _, made, look = counting()
    look()
    source[1] = 3.0
    assert look() == 3.0
    source[0] = 1.0
    assert look(source.clone()) == 4.0
    assert made == [0.0, 3.0, 4.0]


def test_a_copy_begins_empty():
    source, derived, _, look = counting()
    look()
    assert copy.deepcopy(derived).of(lambda: "new", source) == "new"


def test_cameras_follow_their_poses_and_gains():
    camera = Intrinsics(8, 6, 10.0, 10.0, 4.0, 3.0)
    cameras = CameraPath(camera, np.eye(3, 4)[None].repeat(2, 0))
    frames, pixels = torch.tensor([1]), torch.tensor([[4.0, 3.0]])
    first, colors = cameras.rays(frames, pixels)[0], cameras.colors
    cameras.poses[1, :, 3] += torch.tensor([0.0, 0.0, 2.0])
    cameras.gains[0] = 0.5
    torch.testing.assert_close(cameras.rays(frames, pixels)[0] - first, torch.tensor([[0.0, 0.0, -2.0]]))
    torch.testing.assert_close(cameras.colors[0, :, :3], 0.5 * colors[0, :, :3])
    state = {**cameras.state_dict(), "gains": torch.full((2, 3), 0.25)}
    cameras.load_state_dict(state)
    torch.testing.assert_close(cameras.colors[0, :, :3], 0.25 * colors[0, :, :3])
