"""Sliding windows against torch's pooling."""

import pytest
import torch
from torch.nn import functional

from nerfsem_method.training.windows import framed, largest, smallest


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("shape", [(20, 30), (13, 14)])
def test_windows_are_torchs_pooling(size, shape):
    picture = torch.rand(shape, generator=torch.Generator().manual_seed(size))
    pooled = functional.max_pool2d(picture[None, None], size, 1)[0, 0]
    assert torch.equal(largest(picture, size), pooled)
    assert torch.equal(smallest(1 - picture, size), 1 - pooled)


def test_a_frame_is_of_its_value():
    matte = torch.full((4, 5), 7, dtype=torch.uint8)
    assert torch.equal(largest(framed(matte, 2, 0), 5), matte)
    assert (smallest(framed(matte, 1, 0), 3)[1:-1, 1:-1] == 7).all()
    assert (smallest(framed(matte, 1, 0), 3)[0] == 0).all()
