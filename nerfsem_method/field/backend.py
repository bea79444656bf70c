"""Which of the two implementations of the field runs: compiled loops on the CPU, plain torch everywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_plain = ContextVar("plain", default=False)


def compiled(tensor: Tensor) -> bool:
    """Whether what is computed from this tensor runs in compiled loops."""
    return tensor.device.type == "cpu" and not _plain.get()


@contextmanager
def plain_torch() -> Iterator[None]:
    """On the CPU, too, everything runs in the plain torch that CUDA gets: what tests compare with and measurements refer to."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)
