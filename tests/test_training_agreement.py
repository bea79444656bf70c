"""A matte that the other views contradict follows the field; one that is merely finer than the field stays."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.agreement import agreed, alpha_of
from nerfsem_method.training.cameras import CameraPath

SIDE = 200


def _disc(radius: float, soft: float = 1.0) -> torch.Tensor:
    """Return a disc [SIDE, SIDE] with an edge so many pixels wide."""
    at = torch.arange(SIDE) + 0.5 - SIDE / 2
    return ((radius - (at[:, None] ** 2 + at**2).sqrt()) / soft + 0.5).clamp(0, 1)


def test_a_matte_like_the_field_stays_to_the_last_bit():
    matte = _disc(60)
    assert torch.equal(agreed(matte, _disc(60.5, soft=4), rough=False), matte)


def test_a_strip_that_no_other_view_has_goes_and_the_rest_stays():
    matte = _disc(60)
    matte[80:120, 150:190] = 1
    new = agreed(matte, _disc(60, soft=4), rough=False)
    assert new[90:110, 165:185].max() == 0
    assert torch.equal(new[:, :140], matte[:, :140])


def test_a_part_that_a_matte_lacks_comes_back():
    matte = _disc(60)
    matte[100:120, 90:110] = 0
    new = agreed(matte, _disc(60, soft=4), rough=False)
    assert new[102:118, 92:108].min() == 1


def test_rough_outlines_follow_the_field_everywhere():
    noise = 6 * torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    at = torch.arange(SIDE) + 0.5 - SIDE / 2
    ragged = ((at[:, None] ** 2 + at**2).sqrt() + noise < 63).float()
    new = agreed(ragged, _disc(60, soft=4), rough=True)
    truth = _disc(60)
    assert (new - truth).abs().mean() < 0.3 * (ragged - truth).abs().mean()


def test_a_field_that_shows_something_else_is_not_believed():
    matte = _disc(60)
    assert torch.equal(agreed(matte, torch.zeros_like(matte), rough=True), matte)
    assert torch.equal(agreed(matte, _disc(30), rough=True), matte)
    empty = torch.zeros_like(matte)
    assert torch.equal(agreed(empty, empty, rough=True), empty)


class _Disc:
    """Stand-in for a field: what it shows through a camera that looks along z is a disc with an edge of three pixels."""

    def __init__(self, camera: Intrinsics) -> None:
        self.camera, self.rays = camera, 0

    def glance(self, origins, directions):
        self.rays += len(directions)
        at = self.camera.fx * directions[:, :2] / directions[:, 2:]
        return SimpleNamespace(accumulation=((self.camera.width / 4 - at.norm(dim=1)) / 3 + 0.5).clamp(0, 1))


@pytest.mark.parametrize(("width", "height"), [(201, 150), (1400, 900)])
def test_alpha_is_exact_at_edges_though_most_pixels_have_no_ray(width, height):
    camera = Intrinsics(width, height, 1000.0, 1000.0, width / 2, height / 2)
    field = _Disc(camera)
    alpha = alpha_of(field, CameraPath(camera, np.eye(3, 4)[None]), 0)  # type: ignore[arg-type]
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5 - height / 2, torch.arange(width) + 0.5 - width / 2, indexing="ij")
    true = ((width / 4 - torch.hypot(rows, columns)) / 3 + 0.5).clamp(0, 1)
    assert alpha.shape == (height, width) and (alpha - true).abs().max() < (0.01 if width < 640 else 0.2)
    assert ((alpha > 0.5) != (true > 0.5)).float().mean() < 0.001 and field.rays < 0.4 * width * height
