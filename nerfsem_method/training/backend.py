"""One of three implementations of the field runs: compiled loops on the CPU, Triton kernels on CUDA, plain torch elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from typing import Literal

from torch import Tensor

Backend = Literal["compiled", "fused", "plain"]
_chosen: ContextVar[Backend | None] = ContextVar("chosen", default=None)


def compiled(tensor: Tensor) -> bool:
    """Return whether what is computed from this tensor runs in compiled loops."""
    return _backend(tensor) == "compiled"


def fused(tensor: Tensor) -> bool:
    """Return whether what is computed from this tensor runs in Triton kernels."""
    return _backend(tensor) == "fused"


def _backend(tensor: Tensor) -> Backend:
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    if tensor.device.type == "cpu":
        return "compiled"
    return "fused" if tensor.device.type == "cuda" and _has_triton() else "plain"


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


@contextmanager
def using(backend: Backend) -> Iterator[None]:
    """Let everything run so, whatever the device: tests compare the three. "fused" on a CPU wants Triton's interpreter."""
    token = _chosen.set(backend)
    try:
        yield
    finally:
        _chosen.reset(token)
