"""The HNRV section holds a background as the weights of a small network that paints its frames (FORMAT.md, section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from nerfsem_method.codec.coder import Coder, Decoder, Encoder
from nerfsem_method.errors import CorruptBundle

TAG = "HNRV"

GRID_LEVELS, TILE_LEVELS = 2, 3
"""Grids and tiles have so many levels, each with half of the keys and twice the features of the one before."""
STEPS_PER_OCTAVE = 8
"""A tensor's step is a power of two with a fraction in eighths: finer ones saved nothing that could be measured."""
LOWEST_STEP = -24 * STEPS_PER_OCTAVE
INTEGER_LIMIT = 1 << 15

MOST_STAGES, MOST_SCALE, MOST_DEPTH, MOST_EXPANSION = 6, 8, 8, 8
MOST_CHANNELS, MOST_KEYS, MOST_FEATURES = 1024, 1 << 16, 256
MOST_PARAMETERS = 1 << 22
MOST_UPSAMPLING = 128
"""The padded frame is larger than the frame by less than this factor along each axis."""
MOST_VALUES = 1 << 28
"""A picture between two layers has at most so many numbers: 1 GiB of them."""
MOST_PRODUCTS = 1 << 39
"""A frame takes at most so many multiplications: a minute's work."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Stage:
    """A stage makes the picture `scale` times as large, and passes it through `depth` blocks of hidden width `expansion` times
    its channels."""

    scale: int
    depth: int
    expansion: int = 4


@dataclass(frozen=True)
class Shape:
    """A shape is what the sizes of a network's tensors follow from, for a clip of known size and length.

    Attributes:
        channels: The first stage has so many channels, and each later one half of those of the stage before.
        keys: The finer grid has so many key frames, between which it is interpolated in time.
        features: The finer grid has so many features at a cell and key.
        tiles: The finest tile of the first stage has so many features; each later stage has half, but one at least.
        stages: There is one stage for each enlargement.
    """

    channels: int
    keys: int
    features: int
    tiles: int
    stages: tuple[Stage, ...]

    @property
    def upsampling(self) -> int:
        """Return how many pixels of the picture lie along an edge of a cell of the grid."""
        return prod(stage.scale for stage in self.stages)

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns of the grid: its cells cover the frame, and end beyond it where they must."""
        return -(-height // self.upsampling), -(-width // self.upsampling)

    def width_of(self, stage: int) -> int:
        """Return the channels that a stage ends with."""
        return self.channels >> stage

    def tensor_shapes(self, frames: int, height: int, width: int) -> Shapes:
        """Return the shape of every tensor by name, in coding order. Weights are [out, in], kernels [rows, columns, channels]."""
        rows, columns = self.cells(height, width)
        features = [self.features << level for level in range(GRID_LEVELS)]
        keys = [max(self.keys >> level, 1) for level in range(GRID_LEVELS)]
        shapes: Shapes = {f"grid.{i}": (keys[i], features[i], rows, columns) for i in range(GRID_LEVELS)}
        shapes |= {"stem.weight": (self.channels, 3, 3, sum(features)), "stem.bias": (self.channels,)}
        before = self.channels
        for index, stage in enumerate(self.stages):
            shapes |= self._stage_shapes(index, stage, before, frames)
            before = self.width_of(index)
        return shapes | {"head.weight": (3, before), "head.bias": (3,)}

    def _stage_shapes(self, index: int, stage: Stage, before: int, frames: int) -> Shapes:
        name, after, features = f"stage{index}", self.width_of(index), max(self.tiles >> index, 1)
        shapes: Shapes = {
            f"{name}.tile.{level}": (max(frames >> level, 1), features << level, stage.scale, stage.scale)
            for level in range(TILE_LEVELS)
        }
        shapes[f"{name}.mix"] = (before, features * ((1 << TILE_LEVELS) - 1))
        for block in range(stage.depth):
            entering, hidden = before if block == 0 else after, stage.expansion * after
            shapes[f"{name}.block{block}.kernel"] = (3, 3, entering)
            shapes[f"{name}.block{block}.widen"] = (hidden, entering)
            shapes[f"{name}.block{block}.narrow"] = (after, hidden)
        return shapes

    def parameters(self, frames: int, height: int, width: int) -> int:
        """Return how many numbers a network for such a clip has."""
        return sum(prod(shape) for shape in self.tensor_shapes(frames, height, width).values())

    def check(self, frames: int, height: int, width: int) -> None:
        """Refuse what a decoder has neither memory nor time for, before any of it is spent. Raises CorruptBundle."""
        pixels, before, products, largest = prod(self.cells(height, width)), self.channels, 0, 0
        for index, stage in enumerate(self.stages):
            after = self.width_of(index)
            pixels *= stage.scale**2
            hidden = stage.expansion * after
            products += pixels * (hidden * (before + after + (stage.depth - 1) * 2 * after) + 9 * stage.depth * before)
            largest, before = max(largest, pixels * before), after
        if self.width_of(len(self.stages) - 1) < 1:
            raise CorruptBundle("the background's network has stages without channels; the file was not written by nerfsem")
        if self.upsampling > MOST_UPSAMPLING or largest > MOST_VALUES or products > MOST_PRODUCTS:
            raise CorruptBundle("the background's network would take more memory or time than any that nerfsem writes")
        if self.parameters(frames, height, width) > MOST_PARAMETERS:
            raise CorruptBundle("the background's network is larger than any that nerfsem writes")


@dataclass(frozen=True)
class Tensor:
    """A tensor is integers [...] int32 with one step: value = integer * 2 ** (step / STEPS_PER_OCTAVE)."""

    integers: np.ndarray
    step: int

    @property
    def values(self) -> np.ndarray:
        """Return the weights as float32."""
        return (self.integers * 2.0 ** (self.step / STEPS_PER_OCTAVE)).astype(np.float32)


@dataclass(frozen=True)
class NeuralBackground:
    """A neural background is what the HNRV section of a bundle holds: the tensors have the names and shapes of `shape`."""

    shape: Shape
    tensors: dict[str, Tensor]

    def payload(self) -> bytes:
        """Return the section: one stream of the arithmetic coder."""
        encoder = Encoder()
        _code_shape(encoder, self.shape)
        _code_tensors(encoder, {name: tensor.integers.shape for name, tensor in self.tensors.items()}, self.tensors)
        return encoder.finish()

    @classmethod
    def from_payload(cls, payload: bytes, frames: int, height: int, width: int) -> NeuralBackground:
        """Read what `payload` gave for a clip of this length and size. Raises CorruptBundle for what no encoder writes."""
        decoder = Decoder(payload)
        shape = _code_shape(decoder, None)
        shape.check(frames, height, width)
        return cls(shape, _code_tensors(decoder, shape.tensor_shapes(frames, height, width), None))


def _code_shape(coder: Coder, shape: Shape | None) -> Shape:
    """Code the numbers of a shape (None when decoding) and return it. Raises CorruptBundle for one out of range."""
    count = int(coder.integers(None if shape is None else np.array([len(shape.stages)]), 1)[0])
    if not 1 <= count <= MOST_STAGES:
        raise CorruptBundle("the number of the background's stages is out of range; restore the file from a copy")
    given = None
    if shape is not None:
        stages = [number for stage in shape.stages for number in (stage.scale, stage.depth, stage.expansion)]
        given = np.array([shape.channels, shape.keys, shape.features, shape.tiles, *stages])
    numbers = coder.integers(given, 4 + 3 * count)
    limits = [MOST_CHANNELS, MOST_KEYS, MOST_FEATURES, MOST_FEATURES, *[MOST_SCALE, MOST_DEPTH, MOST_EXPANSION] * count]
    if (numbers < 1).any() or (numbers > limits).any():
        raise CorruptBundle("the shape of the background's network is out of range; the file was not written by nerfsem")
    channels, keys, features, tiles, *rest = numbers.tolist()
    return Shape(channels, keys, features, tiles, tuple(map(Stage, rest[::3], rest[1::3], rest[2::3])))


def _code_tensors(coder: Coder, shapes: Shapes, tensors: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Code the steps, then the integers of all tensors in order (None when decoding), and return them."""
    steps = coder.integers(None if tensors is None else np.array([tensors[name].step for name in shapes]), len(shapes))
    if (steps < LOWEST_STEP).any() or (steps > 0).any():
        raise CorruptBundle("a step of the background's network is out of range; the file was not written by nerfsem")
    decoded = {}
    for (name, shape), step in zip(shapes.items(), steps.tolist(), strict=True):
        integers = coder.integers(None if tensors is None else tensors[name].integers, prod(shape))
        if np.abs(integers).max() >= INTEGER_LIMIT:
            raise CorruptBundle(f"weights {name} of the background are out of range; restore the file from a copy")
        decoded[name] = Tensor(integers.astype(np.int32).reshape(shape), step)
    return decoded
