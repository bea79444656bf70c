"""Compiled loops follow the processor that numba is told of, so that a run can take the code of a lesser one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

HEAD = """
import numpy as np
from nerfsem_method.raycast.perceptron import LANES, WIDTH, packed, run_head

rng = np.random.default_rng(0)
weight, bias, x = (rng.integers(-9, 10, shape).astype(np.float32) for shape in ((4, 8), 4, (8, LANES)))
y, scratch = np.zeros((2, 4 * LANES), np.float32)
run_head(packed([(weight, bias)]), x.ravel(), y, scratch)
assert (y.reshape(4, LANES) == weight @ x + bias[:, None]).all()
(code,) = run_head.inspect_asm().values()
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
    shown = subprocess.run([sys.executable, "-c", HEAD], env=os.environ | asked, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == [str(width), *registers]
