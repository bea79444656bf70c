"""Our arithmetic coder and torchac (Mentzer et al.) write the same bytes, and each reads the other.

These tests run where torchac is installed and its extension can be compiled: pip install torchac ninja, and a C++ compiler.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coded_bits import code_bits

from nerfsem_method.codec.coder import Decoder, Encoder

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def torchac():
    """Return the package; importing it compiles its extension."""
    if importlib.util.find_spec("torchac") is None:
        pytest.skip("torchac is not installed")
    try:
        import torchac
    except Exception as error:  # a compiler, ninja or torch's headers may lack, and each lack raises something else
        pytest.skip(f"torchac cannot be compiled here: {error}")
    return torchac


def streams() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the bits and probabilities `ones` that the reference decoder met in the coded sections of a golden bundle."""
    spec = importlib.util.spec_from_file_location("reference_decoder", ROOT / "docs/reference_decoder.py")
    assert spec is not None and spec.loader is not None
    reference: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = reference
    spec.loader.exec_module(reference)
    recorded: list[list[tuple[int, int]]] = []

    class Recorder(reference.Decoder):
        def __init__(self, payload: bytes) -> None:
            recorded.append([])
            super().__init__(payload)

        def bit(self, ones: int) -> int:
            bit = super().bit(ones)
            recorded[-1].append((bit, ones))
            return bit

    reference.Decoder = Recorder
    reference.decode(reference.read_sections((ROOT / "tests/golden/hashed-fp.nsem").read_bytes()))
    tags = ("CAMS", "OCCU", "HEAD", "CTXT", "GRID")
    return {tag: tuple(np.array(pairs).T) for tag, pairs in zip(tags, recorded, strict=True)}


def extremes() -> tuple[np.ndarray, np.ndarray]:
    """Return likely and unlikely bits of all probabilities there are, the least and the greatest among them."""
    rng = np.random.default_rng(3)
    ones = np.concatenate([np.arange(1, 65536), np.full(500, 1), np.full(500, 65535)])
    bits = rng.integers(0, 65536, ones.size) < ones
    return np.where(rng.random(ones.size) < 0.01, ~bits, bits).astype(np.int64), ones


@pytest.mark.parametrize("name", ["CAMS", "OCCU", "HEAD", "CTXT", "GRID", "extremes"])
def test_same_bytes_and_each_reads_the_other(name, torchac):
    bits, ones = extremes() if name == "extremes" else streams()[name]
    cdf = np.stack([np.zeros_like(ones), 65536 - ones, np.full_like(ones, 65536)], 1).astype(np.uint16).view(np.int16)
    table, symbols = torch.from_numpy(cdf), torch.from_numpy(bits.astype(np.int16))
    theirs = torchac.encode_int16_normalized_cdf(table, symbols)
    encoder = Encoder()
    code_bits(encoder, bits, ones)
    assert encoder.finish() == theirs
    assert (code_bits(Decoder(theirs), None, ones) == bits).all()
    assert torch.equal(torchac.decode_int16_normalized_cdf(table, theirs), symbols)
