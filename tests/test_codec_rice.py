"""Rice codes are exact, short, and bounded on bad data."""

from __future__ import annotations

import numpy as np
import pytest

from nerfsem_method.codec.rice import pack, unpack
from nerfsem_method.errors import CorruptBundle


@pytest.mark.parametrize("scale", [0, 1, 30, 500])
def test_round_trip(scale):
    values = np.rint(np.random.default_rng(0).normal(0, scale, 200)).astype(np.int64)
    data = pack(values)
    back, used = unpack(data + b"rest", 200)
    np.testing.assert_array_equal(back, values)
    assert used == len(data)


def test_zeros_take_a_bit_each():
    assert len(pack(np.zeros(80, np.int64))) == 1 + 10


def test_golden_bytes():
    assert pack(np.array([0, -1, 1, 2])).hex() == "005bc0"  # parameter 0, then 0 10 110 11110


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x09\x00\x00", b"\x00" + b"\xff" * 3000])
def test_bad_data_is_corrupt(data):
    with pytest.raises(CorruptBundle):
        unpack(data, 4)
