"""The field runs in compiled loops on the CPU; on CUDA in Triton kernels, or by tiny-cuda-nn; in plain torch elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from nerfsem_method.errors import NerfsemError

Backend = Literal["compiled", "fused", "tcnn", "plain"]
Choice = Literal["auto", "tcnn", "triton", "torch"]
_NAMES: dict[str, Backend] = {"tcnn": "tcnn", "triton": "fused", "torch": "plain"}
_chosen: ContextVar[Backend | None] = ContextVar("chosen", default=None)
_preferred: list[Choice] = ["auto"]  # The viewer's thread has to find it, too, which a context variable would not let it.


def compiled(tensor: Tensor) -> bool:
    """Return whether what is computed from this tensor runs in compiled loops."""
    return _backend(tensor) == "compiled"


def fused(tensor: Tensor) -> bool:
    """Return whether what is computed from this tensor runs in Triton kernels, where tiny-cuda-nn has none of its own."""
    return _backend(tensor) == "fused" or (_backend(tensor) == "tcnn" and tensor.is_cuda and _has("triton"))


def tiny(tensor: Tensor) -> bool:
    """Return whether tiny-cuda-nn looks features up and evaluates heads for this tensor."""
    return _backend(tensor) == "tcnn"


def _backend(tensor: Tensor) -> Backend:
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    (preferred,) = _preferred
    if preferred != "auto" and (tensor.is_cuda or preferred == "torch"):
        return _NAMES[preferred]
    if tensor.device.type == "cpu":
        return "compiled"
    if not tensor.is_cuda:
        return "plain"
    return "fused" if _has("triton") else "tcnn" if _has("tinycudann") else "plain"


@cache
def _has(package: str) -> bool:
    return find_spec(package) is not None


def insist_on_cuda() -> None:
    """Raise NerfsemError without a GPU."""
    if not torch.cuda.is_available():
        raise NerfsemError("no GPU that torch can use is here (nvidia-smi tells more); leave --device cuda out")


def choose(preferred: Choice) -> None:
    """Let this process run so from now on; "auto" takes Triton where it is there, else tiny-cuda-nn, else torch.

    Raises NerfsemError for what cannot run here.
    """
    if preferred in ("tcnn", "triton") and not torch.cuda.is_available():
        raise NerfsemError(f"the backend {preferred} runs on CUDA, and torch finds no CUDA device; leave --backend out")
    if preferred == "tcnn" and not _has("tinycudann"):
        raise NerfsemError(
            "the backend tcnn needs tiny-cuda-nn's bindings for torch: python -m pip install 'nerfsem[tcnn]', "
            "which compiles them and takes NVIDIA's nvcc"
        )
    _preferred[:] = [preferred]


@contextmanager
def using(backend: Backend) -> Iterator[None]:
    """Let everything run so, whatever the device: tests compare them. "fused" on a CPU wants Triton's interpreter."""
    token = _chosen.set(backend)
    try:
        yield
    finally:
        _chosen.reset(token)
