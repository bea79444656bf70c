"""A bundle small enough to decode in a moment: an untrained ball of coloured noise, seen from a turn of cameras."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.plate import make_background
from nerfsem_method.codec.background import Background
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.field.layout import table_layout
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.field.state import FieldState, QuantisedTensor
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Video

FRAMES, WIDTH, HEIGHT = 8, 34, 45
VOLUME, PLANES = (Level(4, 2), Level(8, 2)), (Level(8, 2),)
SPEC = FieldSpec(VOLUME, PLANES, occupancy=16, steps=32, width=8, geometry=6, context_width=4)


def tiny_bundle(background: bool = True) -> Bundle:
    """FRAMES frames of an odd size; the object fills the middle of each."""
    poses = np.stack([_pose(2 * np.pi * index / FRAMES) for index in range(FRAMES)])
    video = Video("tiny.mp4", WIDTH, HEIGHT, FRAMES, Fraction(10), "00" * 32)
    camera = Intrinsics(WIDTH, HEIGHT, 60.0, 60.0, WIDTH / 2, HEIGHT / 2)
    gains = np.ones((FRAMES, 3), np.float32)
    return Bundle(_state(), video, camera, poses, gains, _background() if background else None).quantised()


def _state() -> FieldState:
    rng = np.random.default_rng(0)
    centres = (np.arange(SPEC.occupancy) + 0.5) / SPEC.occupancy - 0.5
    occupancy = (centres[:, None, None] ** 2 + centres[:, None] ** 2 + centres**2) < 0.3**2
    tables = []
    for table in SPEC.tables:
        values = np.zeros((table.entries, table.features), np.int8)
        entries = table_layout(table, occupancy).entries
        values[entries] = rng.choice([-1, 1], (len(entries), table.features))
        tables.append(values)
    heads = {name: _tensor(rng, shape) for name, shape in SPEC.head_shapes().items()}
    heads["density.1.bias"].integers[0] = 255  # opaque
    contexts = {name: _tensor(rng, shape) for name, shape in SPEC.context_shapes().items()}
    return FieldState(SPEC, occupancy, tuple(tables), heads, contexts)


def _tensor(rng: np.random.Generator, shape: tuple[int, ...]) -> QuantisedTensor:
    return QuantisedTensor(rng.integers(-30, 31, shape).astype(np.int32), -5)


def _pose(angle: float) -> np.ndarray:
    """From two units away, looking at the middle of the cube."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.column_stack([rotation, [0, 0, 2] - rotation @ np.full(3, 0.5)])


def _background() -> Background:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pictures = [np.stack([x * 3 + 5 * i, y * 4, np.full_like(x, 90)], -1).astype(np.uint8) for i in range(FRAMES)]
    return make_background(pictures, [np.zeros((HEIGHT, WIDTH), np.uint8)] * FRAMES, Fraction(10), BackgroundOptions(crf=30))
