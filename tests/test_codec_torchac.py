"""Our arithmetic coder and torchac (Mentzer et al.) write the same bytes, and each reads the other.

The development lock installs torchac, whose extension compiles itself at its first import: that takes ninja and a C++ compiler.
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
from tiny_field import HASHED, tiny_bundle

from nerfsem_method.codec import nsem, walk
from nerfsem_method.codec.coder import Decoder, Encoder
from nerfsem_method.errors import BundleError
from nerfsem_method.training import torchac_check

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def torchac():
    """Return the package; importing it compiles its extension. The development lock has it: only where it lacks, tests skip."""
    if importlib.util.find_spec("torchac") is None:
        pytest.skip("torchac is not installed: make install has it")
    found = torchac_check.torchac()
    assert found is not None, "torchac is installed, but cannot be compiled: it takes a C++ compiler"
    return found


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
    reference.decode(reference.read_sections((ROOT / "tests/golden/mixed-fp.nsem").read_bytes()))
    tags = ("CAMS", "VOXL", "HEAD", "CTXT", "GRID")
    return {tag: tuple(np.array(pairs).T) for tag, pairs in zip(tags, recorded, strict=True)}


def extremes() -> tuple[np.ndarray, np.ndarray]:
    """Return likely and unlikely bits of all probabilities there are, the least and the greatest among them."""
    rng = np.random.default_rng(3)
    ones = np.concatenate([np.arange(1, 65536), np.full(500, 1), np.full(500, 65535)])
    bits = rng.integers(0, 65536, ones.size) < ones
    return np.where(rng.random(ones.size) < 0.01, ~bits, bits).astype(np.int64), ones


@pytest.mark.parametrize("name", ["CAMS", "VOXL", "HEAD", "CTXT", "GRID", "extremes"])
def test_same_bytes_and_each_reads_the_other(name, torchac):
    bits, ones = extremes() if name == "extremes" else streams()[name]
    table, symbols = torchac_check.distributions(ones), torch.from_numpy(bits.astype(np.int16))
    theirs = torchac.encode_int16_normalized_cdf(table, symbols)
    encoder = Encoder()
    code_bits(encoder, bits, ones)
    assert encoder.finish() == theirs
    assert (code_bits(Decoder(theirs), None, ones) == bits).all()
    assert torch.equal(torchac.decode_int16_normalized_cdf(table, theirs), symbols)


@pytest.mark.usefixtures("fine_poses")
def test_a_recorded_stream_is_what_the_decoder_meets():
    """The recorder sees the bits and probabilities that another decoder, which shares no code, reads in the golden bundle."""
    recorded = nsem.streams(nsem.read(ROOT / "tests/golden/mixed-fp.nsem"))
    for tag, (bits, ones) in streams().items():
        np.testing.assert_array_equal(recorded[tag][0], bits)
        np.testing.assert_array_equal(recorded[tag][1], ones)


def test_a_finished_bundle_is_torchacs_bytes(torchac, monkeypatch):
    monkeypatch.setattr(walk, "FREE_SIGNS", 100)  # the encoder fills GRID up with zeros
    monkeypatch.setattr(walk, "SIGNS_A_BYTE", 20)
    made = tiny_bundle(HASHED)
    data = nsem.encode(made)
    assert torchac_check.check(made, data)
    other = tiny_bundle(HASHED)
    other.state.heads["density.1.bias"].integers[0] += 1
    with pytest.raises(BundleError, match="section HEAD is not what torchac makes"):
        torchac_check.check(other, data)


def test_without_torchac_nothing_is_compared(monkeypatch):
    monkeypatch.setattr(torchac_check, "torchac", lambda: None)
    made = tiny_bundle()
    assert not torchac_check.check(made, nsem.encode(made))


def test_the_compiler_is_not_heard(tmp_path, monkeypatch, capfd):
    """At its first import torchac compiles itself, in another process, and tells all about it."""
    text = "import subprocess\nsubprocess.run(['echo', 'compiling'], check=True)\nsubprocess.run('echo hard >&2', shell=True)\n"
    (tmp_path / "torchac.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchac", raising=False)
    print("before", flush=True)
    found = torchac_check.torchac.__wrapped__()
    print("after", flush=True)
    sys.modules.pop("torchac")
    heard = capfd.readouterr()
    assert found is not None and Path(found.__file__).parent == tmp_path and "before" in heard.out and "after" in heard.out
    assert "compiling" not in heard.out and "hard" not in heard.err
