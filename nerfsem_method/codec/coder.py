"""The binary arithmetic coder has three forms, the leaves of one walk: `Encoder`, `Decoder` and `Meter`.

The interval arithmetic is the classic 32-bit one with 16-bit probabilities, bit for bit that of torchac 0.9.3 (Mentzer et
al., `torchac_backend.cpp`): for equal bits and probabilities the bytes are equal. Symbol 0 owns the lower part of the
interval. Probabilities are integers `ones` = 65536 P(bit = 1), between 1 and 65535.

Every coded part of a bundle is one function `part(coder, value_or_None) -> value` that calls the methods below; what the
function returns is what the decoder will hold. A compiled part asks for `state[OVERRUN]` now and then, to stop past the end of
its data.
"""

from __future__ import annotations

import sys

import numpy as np

from nerfsem_method.compiled import njit
from nerfsem_method.errors import CorruptBundle

PROBABILITY_BITS = 16
ONE = 1 << PROBABILITY_BITS
ADAPTATION_LIMIT = 255
"""An adaptive probability is a running mean over this many bits at most."""

_ENCODE, _DECODE, _METER, _RECORD = range(4)
_MODE, _LOW, _HIGH, _PENDING, _VALUE, _POSITION, OVERRUN = range(7)
_TOP, _HALF, _QUARTER = 0xFFFFFFFF, 0x80000000, 0x40000000
_MAX_PREFIX = 40  # Magnitudes stay below 2 ** 40.
_MODELS_PER_CLASS = 2 + 2 * (_MAX_PREFIX + 1)
_RECORD_BYTES = 3  # A recorded symbol is its bit, then its probability, low byte first.
_WORD_BITS = 32  # A decoder looks one word ahead, beyond the end of its data at last.


@njit(cache=True)
def _emit(state, buffer, bit):
    """Append one bit and the opposite bits that were pending."""
    position = state[_POSITION]
    if bit:
        buffer[position >> 3] |= 1 << (7 - (position & 7))
    position += 1
    for _ in range(state[_PENDING]):
        if not bit:
            buffer[position >> 3] |= 1 << (7 - (position & 7))
        position += 1
    state[_PENDING] = 0
    state[_POSITION] = position


@njit(cache=True)
def _next_bit(state, buffer):
    position = state[_POSITION]
    state[_POSITION] = position + 1
    if (position >> 3) >= buffer.size:
        if position >= 8 * buffer.size + _WORD_BITS:
            state[OVERRUN] = 1
        return 0
    return (buffer[position >> 3] >> (7 - (position & 7))) & 1


@njit(cache=True)
def code_bit(state, buffer, cost, bit, ones):
    """Code one bit with P(1) = ones / 65536 and return it: it is given when encoding and read when decoding."""
    if state[_MODE] >= _METER:
        cost[0] -= np.log2((ones if bit else ONE - ones) / ONE)
        if state[_MODE] == _RECORD:
            position = state[_POSITION]
            buffer[position], buffer[position + 1], buffer[position + 2] = bit, ones & 0xFF, ones >> 8
            state[_POSITION] = position + _RECORD_BYTES
        return bit
    low, high = state[_LOW], state[_HIGH]
    span = high - low + 1
    split = (span * (ONE - ones)) >> PROBABILITY_BITS
    if state[_MODE] == _DECODE:
        bit = 1 if state[_VALUE] >= low + split else 0
    if bit:
        low += split
    else:
        high = low + split - 1
    while True:
        if high < _HALF or low >= _HALF:
            if state[_MODE] == _ENCODE:
                _emit(state, buffer, low >= _HALF)
            offset = _HALF if low >= _HALF else 0
        elif low >= _QUARTER and high < _HALF + _QUARTER:
            if state[_MODE] == _ENCODE:
                state[_PENDING] += 1
            offset = _QUARTER
        else:
            break
        low = (low - offset) << 1
        high = ((high - offset) << 1) | 1
        if state[_MODE] == _DECODE:
            state[_VALUE] = ((state[_VALUE] - offset) << 1) | _next_bit(state, buffer)
    state[_LOW] = low
    state[_HIGH] = high
    return bit


@njit(cache=True)
def code_adaptive(state, buffer, cost, bit, model):
    """Code one bit with the running estimate `model` = [ones, count], update that and return the bit."""
    bit = code_bit(state, buffer, cost, bit, model[0])
    adapt(model, bit)
    return bit


@njit(cache=True)
def adapt(model, bit):
    """Let `model` = [ones, count] learn a bit."""
    model[1] = min(model[1] + 1, ADAPTATION_LIMIT)
    target = ONE if bit else 0
    model[0] += (target - model[0]) // (model[1] + 1)
    model[0] = min(max(model[0], 32), ONE - 32)


@njit(cache=True)
def _code_magnitude(state, buffer, cost, models, magnitude):
    """Code magnitude >= 0 as Exp-Golomb and return it: adaptive unary length, adaptive top suffix bit, plain lower bits."""
    length = 0
    shifted = magnitude + 1
    while shifted > 1:
        shifted >>= 1
        length += 1
    read = 0
    while read < _MAX_PREFIX and code_adaptive(state, buffer, cost, read < length, models[2 + read]):
        read += 1
    value = 1
    for position in range(read - 1, -1, -1):
        bit = ((magnitude + 1) >> position) & 1
        if position == read - 1:
            bit = code_adaptive(state, buffer, cost, bit, models[3 + _MAX_PREFIX + read])
        else:
            bit = code_bit(state, buffer, cost, bit, ONE // 2)
        value = (value << 1) | bit
    return value - 1


@njit(cache=True)
def _code_integers(state, buffer, cost, models, values):
    recent = 0  # The last magnitude's class chooses the models: 0 zero, 1 small, 2 large.
    for i in range(values.size):
        if state[OVERRUN]:
            return
        group = models[recent]
        value = values[i]
        nonzero = code_adaptive(state, buffer, cost, value != 0, group[0])
        if nonzero:
            negative = code_adaptive(state, buffer, cost, value < 0, group[1])
            magnitude = 1 + _code_magnitude(state, buffer, cost, group, abs(value) - 1)
            value = -magnitude if negative else magnitude
        else:
            value = 0
        values[i] = value
        recent = 0 if value == 0 else (1 if abs(value) < 4 else 2)


def new_models(count: int) -> np.ndarray:
    """Return `count` adaptive bit models int64 [count, 2], which have seen nothing: their probability is even."""
    models = np.zeros((count, 2), np.int64)
    models[:, 0] = ONE // 2
    return models


class Coder:
    """A coder runs compiled parts over its state; this class is what the three leaves have in common."""

    def __init__(self, mode: int, buffer: np.ndarray) -> None:
        self._state = np.zeros(OVERRUN + 1, np.int64)
        self._state[_MODE] = mode
        self._state[_HIGH] = _TOP
        self._buffer = buffer
        self._cost = np.zeros(1)

    @property
    def budget(self) -> int:
        """Return the bytes of the section, to which a decoder's work is in proportion; no bound where they are yet to be made."""
        return sys.maxsize

    def fill(self, size: int) -> None:
        """Make the section take `size` bytes at least, with zeros at its end; only an encoder has to."""

    def kernel(self, function, *arrays, symbols: int) -> None:
        """Call `function(state, buffer, cost, *arrays)`, which codes at most `symbols` bits.

        Raises CorruptBundle when a decoder reads past the end of its data.
        """
        self._reserve(symbols)
        function(self._state, self._buffer, self._cost, *arrays)
        if self._state[OVERRUN]:
            raise CorruptBundle("a coded section ends too early; the file is damaged, restore it from a copy")

    def _reserve(self, symbols: int) -> None:
        """Make the buffer large enough for `symbols` more bits; only an encoder has to."""

    def integers(self, values: np.ndarray | None, count: int) -> np.ndarray:
        """Code `count` signed integers (None when decoding) with fresh adaptive models and return them, int64 [count]."""
        symbols = np.zeros(count, np.int64) if values is None else np.asarray(values, np.int64).ravel().copy()
        models = new_models(3 * _MODELS_PER_CLASS).reshape(3, _MODELS_PER_CLASS, 2)
        self.kernel(_code_integers, models, symbols, symbols=count * (2 + 2 * _MAX_PREFIX))
        return symbols


class Encoder(Coder):
    """An encoder writes bits; `finish` closes the stream."""

    def __init__(self) -> None:
        super().__init__(_ENCODE, np.zeros(1024, np.uint8))
        self._least = 0

    def fill(self, size: int) -> None:
        """See `Coder.fill`."""
        self._least = size

    def _reserve(self, symbols: int) -> None:
        # A symbol of probability 2 ** -16 shifts at most 17 bits out; pending bits come on top.
        need = (int(self._state[_POSITION] + self._state[_PENDING]) + 17 * symbols + 64) // 8
        if need > self._buffer.size:
            self._buffer = np.concatenate([self._buffer, np.zeros(max(need, 2 * self._buffer.size), np.uint8)])

    def finish(self) -> bytes:
        """Close the interval and return the bytes."""
        self._reserve(1)
        self._state[_PENDING] += 1
        _emit(self._state, self._buffer, self._state[_LOW] >= _QUARTER)
        return self._buffer[: (int(self._state[_POSITION]) + 7) // 8].tobytes().ljust(self._least, b"\0")


class Decoder(Coder):
    """A decoder reads the bits that an `Encoder` wrote, given the same probabilities in the same order."""

    def __init__(self, data: bytes) -> None:
        super().__init__(_DECODE, np.frombuffer(data, np.uint8).copy())
        for _ in range(_WORD_BITS):
            self._state[_VALUE] = (self._state[_VALUE] << 1) | _next_bit(self._state, self._buffer)

    @property
    def budget(self) -> int:
        """See `Coder.budget`."""
        return self._buffer.size


class Meter(Coder):
    """A meter counts what an encoder would write."""

    def __init__(self) -> None:
        super().__init__(_METER, np.zeros(0, np.uint8))

    @property
    def bits(self) -> float:
        """Return the ideal code length so far, in bits."""
        return float(self._cost[0])


class Recorder(Coder):
    """A recorder writes down what an encoder would be given: bits and probabilities, for another coder."""

    def __init__(self) -> None:
        super().__init__(_RECORD, np.zeros(_RECORD_BYTES * 1024, np.uint8))

    def _reserve(self, symbols: int) -> None:
        need = int(self._state[_POSITION]) + _RECORD_BYTES * symbols
        if need > self._buffer.size:
            self._buffer = np.concatenate([self._buffer, np.zeros(max(need, 2 * self._buffer.size), np.uint8)])

    @property
    def symbols(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bits uint8 [N] and P(bit = 1) in 1/65536, uint16 [N]."""
        recorded = self._buffer[: int(self._state[_POSITION])].reshape(-1, _RECORD_BYTES)
        return recorded[:, 0], recorded[:, 1] + recorded[:, 2].astype(np.uint16) * 256
