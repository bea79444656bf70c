"""Compiled loops follow the processor that numba is told of, so that a run can take the code of a lesser one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

LAYER = """
import numpy as np
from nerfsem_method.raycast.perceptron import LANES, WIDTH, layer, padded_layer

rng = np.random.default_rng(0)
weight, bias = padded_layer(rng.integers(-9, 10, (5, 7)), rng.integers(-9, 10, 5))
x, y = rng.integers(-9, 10, 8 * LANES).astype(np.float32), np.zeros(8 * LANES, np.float32)
layer(weight, bias, x, True, y)
assert (y.reshape(8, LANES) == np.maximum(weight @ x.reshape(8, LANES) + bias[:, None], 0)).all()
(code,) = layer.inspect_asm().values()
print(WIDTH, *(name for name in ("xmm", "ymm", "zmm") if f"%{name}" in code))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the names are those of x86-64")
@pytest.mark.parametrize(
    ("name", "features", "width", "registers"),
    [("generic", "", 4, ["xmm"]), ("haswell", "+avx2,+fma", 8, ["xmm", "ymm"])],
    ids=["plain", "avx2"],
)
def test_vectors_are_as_wide_as_the_registers_that_numba_uses(name, features, width, registers, tmp_path):
    asked = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    shown = subprocess.run([sys.executable, "-c", LAYER], env=os.environ | asked, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == [str(width), *registers]
