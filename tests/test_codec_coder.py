"""The arithmetic coder writes exact bytes and reads them again, and the meter agrees with the file."""

import numpy as np
import pytest
from coded_bits import code_bits

from nerfsem_method.codec.coder import Decoder, Encoder, Meter
from nerfsem_method.errors import CorruptBundle


def _reference_encode(bits, ones):
    """Encode by torchac's interval arithmetic, stated once more with Python integers and a list of bits."""
    low, high, pending, out = 0, 0xFFFFFFFF, 0, []

    def emit(bit):
        nonlocal pending
        out.extend([bit] + [1 - bit] * pending)
        pending = 0

    for bit, one in zip(bits, ones, strict=True):
        span = high - low + 1
        c_low, c_high = (65536 - one, 65536) if bit else (0, 65536 - one)
        low, high = low + (span * c_low >> 16), low - 1 + (span * c_high >> 16)
        while True:
            if high < 1 << 31:
                emit(0)
            elif low >= 1 << 31:
                emit(1)
            elif low >= 1 << 30 and high < 3 << 30:
                pending += 1
                low, high = (low << 1) & 0x7FFFFFFF, (high << 1) & 0xFFFFFFFF | 0x80000001
                continue
            else:
                break
            low, high = (low << 1) & 0xFFFFFFFF, (high << 1) & 0xFFFFFFFF | 1
    pending += 1
    emit(0 if low < 1 << 30 else 1)
    out += [0] * (-len(out) % 8)
    return bytes(int("".join(map(str, out[i : i + 8])), 2) for i in range(0, len(out), 8))


@pytest.fixture
def sequence():
    rng = np.random.default_rng(7)
    ones = rng.integers(1, 65536, 5000)
    ones[:500] = 1
    ones[500:1000] = 65535
    return (rng.integers(0, 65536, 5000) < ones).astype(np.uint8), ones


def test_bytes_equal_the_published_arithmetic(sequence):
    bits, ones = sequence
    encoder = Encoder()
    code_bits(encoder, bits, ones)
    assert encoder.finish() == _reference_encode(bits.tolist(), ones.tolist())


def test_golden_bytes():
    encoder = Encoder()
    code_bits(encoder, np.array([1, 0, 1, 1, 0, 0, 0, 1]), np.array([60000, 200, 32768, 1, 65535, 100, 40000, 9]))
    assert encoder.finish().hex() == "ff48702bad7280"


def test_parts_in_one_stream_round_trip(sequence):
    bits, ones = sequence
    integers = np.array([0, 0, 5, -3, 1 << 39, -(1 << 30), 0, 1, -1] * 7)
    encoder = Encoder()
    encoder.integers(integers, integers.size)
    code_bits(encoder, bits, ones)
    encoder.integers(integers[::-1], integers.size)
    decoder = Decoder(encoder.finish())
    assert (decoder.integers(None, integers.size) == integers).all()
    assert (code_bits(decoder, None, ones) == bits).all()
    assert (decoder.integers(None, integers.size) == integers[::-1]).all()


def test_meter_agrees_with_the_file(sequence):
    bits, ones = sequence
    meter, encoder = Meter(), Encoder()
    for coder in (meter, encoder):
        code_bits(coder, bits, ones)
        coder.integers(np.arange(-300, 300), 600)
    assert abs(8 * len(encoder.finish()) - meter.bits) < 16 + 1e-3 * meter.bits


def test_reading_past_the_end_is_refused(sequence):
    bits, ones = sequence
    encoder = Encoder()
    code_bits(encoder, bits, ones)
    with pytest.raises(CorruptBundle):
        code_bits(Decoder(encoder.finish()[:20]), None, ones)
