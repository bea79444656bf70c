"""Tiny random networks that paint backgrounds are the same on every machine; tests of several rooms use them."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.hinerv import NeuralBackground, Shape, Stage, Tensor
from nerfsem_method.scene.scene import Video

SHAPE = Shape(8, 3, 2, 3, (Stage(3, 2, 2), Stage(2, 1, 1)))


def tiny_network(video: Video, shape: Shape = SHAPE) -> NeuralBackground:
    """Return a network of random weights for the frames of a video; its pictures are lively."""
    rng = np.random.default_rng(0)
    tensors = {}
    for name, size in shape.tensor_shapes(video.frames, video.height, video.width).items():
        reach = 24 if name.startswith("grid") or ".tile." in name else 12
        tensors[name] = Tensor(rng.integers(-reach, reach + 1, size).astype(np.int32), -8 * 4 - len(name) % 5)
    return NeuralBackground(shape, tensors)
