"""Tiny random fields, and bundles of them, are the same on every machine; tests of many rooms use them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.background.plate import make_background
from nerfsem_method.background.streams import encode
from nerfsem_method.codec.background import Background, StreamCodec
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.residual import picture_of
from nerfsem_method.field.layout import table_layout
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.field.state import FieldState, QuantisedTensor
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Video

DENSE = FieldSpec((Level(8, 2), Level(16, 1)), (Level(16, 2), Level(24, 1)), occupancy=12, steps=32, width=8, geometry=3)
HASHED = FieldSpec(
    (Level(6, 1), Level(11, 2), Level(20, 2), Level(31, 1)), (Level(16, 1), Level(40, 2)),
    log2_volume_limit=9, log2_plane_limit=8, occupancy=16, steps=32, width=8, geometry=3, directions=3, frequencies=2,
    shading="sample", color_layers=2,
)  # fmt: skip
FINE_POSES = 0.0787
"""Poses of the golden bundles are as exact as encoders wrote them at first (`codec.cameras.REPROJECTION`)."""
FRAMES, WIDTH, HEIGHT = 8, 34, 45
"""An `opaque_bundle` has so many frames of this odd size."""


def ball(side: int, radius: float = 0.4, thickness: float = 0.12) -> np.ndarray:
    """Return the occupancy [side, side, side] of a hollow ball."""
    axis = (np.arange(side) + 0.5) / side - 0.5
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    return (distance < radius) & (distance > radius - thickness)


def tiny_state(spec: FieldSpec, seed: int = 0) -> FieldState:
    """Return random symbols and weights over a hollow ball."""
    rng = np.random.default_rng(seed)
    occupancy = ball(spec.occupancy)
    tables = []
    for table in spec.tables:
        values = np.zeros((table.entries, table.features), np.int8)
        entries = table_layout(table, occupancy).entries
        values[entries] = np.where(rng.random((len(entries), table.features)) < 0.7, 1, -1)
        tables.append(values)

    def weights(shapes, exponent_of, spread):
        return {
            name: QuantisedTensor(rng.integers(-spread, spread + 1, shape).astype(np.int32), exponent_of(name))
            for name, shape in shapes.items()
        }

    heads = weights(spec.head_shapes(), lambda name: -5, 20)
    contexts = weights(spec.context_shapes(), lambda name: -5 if name.endswith("weight") else -8, 40)
    return FieldState(spec, occupancy, tuple(tables), heads, contexts)


def orbit(frames: int) -> np.ndarray:
    """Return cam_from_world [frames, 3, 4] of cameras around the unit cube, looking at its centre."""
    poses = []
    for angle in np.linspace(0, 2 * np.pi, frames, endpoint=False):
        forward = np.array([np.cos(angle), np.sin(angle), -0.2])
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        center = 0.5 - 2.2 * forward
        poses.append(np.concatenate([rotation, -(rotation @ center)[:, None]], 1))
    return np.stack(poses)


def tiny_bundle(spec: FieldSpec = DENSE, frames: int = 6, background: Background | None = None) -> Bundle:
    """Return a bundle of a tiny field: `frames` frames of 24 x 32 pixels of a hollow ball that is a faint cloud."""
    video = Video("tiny.mp4", 24, 32, frames, Fraction(10), "ab" * 32)
    camera = Intrinsics(24, 32, 40.0, 40.0, 12.0, 16.0, k1=0.01)
    gains = np.ones((frames, 3), np.float32)
    return Bundle(tiny_state(spec), video, camera, orbit(frames), gains, background).quantised()


def opaque_bundle(background: bool = True) -> Bundle:
    """Return a bundle of FRAMES frames whose middle an opaque ball fills; corners show the background, if there is one."""
    made = tiny_bundle(frames=FRAMES)
    made.state.heads["density.1.bias"].integers[0] = 255
    video, camera = replace(made.video, width=WIDTH, height=HEIGHT), Intrinsics(WIDTH, HEIGHT, 60.0, 60.0, WIDTH / 2, HEIGHT / 2)
    layer = ramps(video) if background else None
    return replace(made, video=video, camera=camera, background=layer).quantised()


def ramp_pictures(video: Video) -> list[np.ndarray]:
    """Return pictures uint8 [H, W, 3] of ramps that slide from frame to frame."""
    y, x = np.mgrid[: video.height, : video.width]
    colours = (np.stack([9 * x + 5 * i, 7 * y, 90 + 0 * x - 3 * i], -1) for i in range(video.frames))
    return [each.clip(0, 255).astype(np.uint8) for each in colours]


def ramps(video: Video, codec: StreamCodec = "h264") -> Background:
    """Return a background layer of these pictures."""
    mattes = [np.zeros((video.height, video.width), np.uint8)] * video.frames
    return make_background(ramp_pictures(video), mattes, Fraction(10), BackgroundOptions(codec=codec, crf=30))


def lighter_and_darker(video: Video, levels: int = 24) -> bytes:
    """Return a residual whose frames take turns to be so many grey levels lighter, and darker, than the field."""
    shape = video.height, video.width, 3
    pictures = [picture_of(np.full(shape, levels if index % 2 else -levels)) for index in range(video.frames)]
    return encode(pictures, Fraction(10), BackgroundOptions("av1", crf=10))
