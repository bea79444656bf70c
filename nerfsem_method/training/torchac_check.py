"""Where torchac (Mentzer et al.) is installed, a finished bundle is compared with what it makes of the same symbols.

torchac wants all probabilities before it begins, which our coder finds on the way: they are recorded first.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nerfsem_method.codec import nsem
from nerfsem_method.codec.container import unpack
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.errors import BundleError


@cache
def torchac() -> Any | None:
    """Return the package, or None where it is not installed or cannot be compiled, as it is at its first import."""
    if importlib.util.find_spec("torchac") is None:
        return None
    tools = str(Path(sys.executable).parent)  # An environment's own ninja is found without the environment being activated.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), tools])
    try:
        with _unheard():
            import torchac
    except Exception:  # A compiler or torch's headers may lack, and each lack raises something else.
        return None
    return torchac


@contextmanager
def _unheard() -> Iterator[None]:
    """Let neither this process nor those that it starts write to its two streams: a compiler's lines would stand among ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        yield
    finally:
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
        os.close(nowhere)


def distributions(ones: np.ndarray) -> torch.Tensor:
    """Return torchac's cumulative distributions int16 [N, 3] of P(1) = ones / 65536."""
    ones = ones.astype(np.int64)
    cumulative = np.stack([np.zeros_like(ones), 65536 - ones, np.full_like(ones, 65536)], 1)
    return torch.from_numpy(cumulative.astype(np.uint16).view(np.int16))


def check(bundle: Bundle, data: bytes) -> bool:
    """Return whether torchac is here and its bytes of every coded section are those in `data`. Raises BundleError if not."""
    package = torchac()
    if package is None:
        return False
    payloads = {section.tag: section.payload for section in unpack(data, nsem.KNOWN_SECTIONS)}
    for tag, (bits, ones) in nsem.streams(bundle).items():
        theirs = package.encode_int16_normalized_cdf(distributions(ones), torch.from_numpy(bits.astype(np.int16)))
        if payloads[tag] != theirs.ljust(len(payloads[tag]), b"\0"):
            raise BundleError(f"section {tag} is not what torchac makes of its symbols; report this with the clip")
    return True
