"""Speed is measured on the golden vase as `quick` trained it, on the same through a `standard` field, and on its clip.

No data beyond the checkout is needed: frames to train on are rendered from the golden bundle.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.field.layout import table_layout
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.field.state import FieldState, QuantisedTensor
from nerfsem_method.playback.player import Player
from nerfsem_method.scene.scene import Frame, Scene
from nerfsem_method.training import presets

GOLDEN = Path(__file__).resolve().parents[2] / "tests/golden/vase.nsem"
SIZE = (720, 1280)
"""Frames have this width and height in pixels where speed and memory are told for frames of a phone's size."""


def quick_bundle() -> Bundle:
    """Return the golden vase: a trained `quick` field, 120 frames of 270x480."""
    return nsem.read(GOLDEN)


def standard_bundle(quick: Bundle) -> Bundle:
    """Return a bundle with the same pictures from a field of the `standard` preset's shapes.

    Features that `quick` has keep their signs and weights; the others get random signs and no weight. The context models know
    nothing, so the tables are about as long as they can be.
    """
    spec = presets.load("standard").field
    old = quick.state
    rng = np.random.default_rng(0)
    tables, columns, column = [], [], 0
    twins = {(table.axes, table.resolution): i for i, table in enumerate(old.spec.tables)}
    firsts = np.cumsum([0, *(table.features for table in old.spec.tables)])
    for table in spec.tables:
        values = np.zeros((table.entries, table.features), np.int8)
        entries = table_layout(table, old.occupancy).entries
        values[entries] = rng.choice(np.array([-1, 1], np.int8), (len(entries), table.features))
        twin = twins.get((table.axes, table.resolution))
        if twin is not None:
            shared = old.spec.tables[twin].features
            values[:, :shared] = old.tables[twin]
            columns += [(column + f, firsts[twin] + f) for f in range(shared)]
        tables.append(values)
        column += table.features
    heads = _wider(old, spec)
    first = old.heads["density.0.weight"]
    weight = np.zeros(spec.head_shapes()["density.0.weight"], np.int32)
    for new, mine in columns:
        weight[: len(first.integers), new] = first.integers[:, mine]
    heads["density.0.weight"] = QuantisedTensor(weight, first.exponent)
    return replace(quick, state=FieldState(spec, old.occupancy, tuple(tables), heads, _ignorant(spec)))


def _wider(old: FieldState, spec: FieldSpec) -> dict[str, QuantisedTensor]:
    """Return heads of `spec`'s shapes that say what the old ones do: more units are 0, more layers pass on what they get."""
    heads = {}
    for name, shape in spec.head_shapes().items():
        head, layer, part = name.split(".")
        last = head == "color" and int(layer) == spec.color_layers
        if head == "color" and old.spec.color_layers <= int(layer) < spec.color_layers:
            integers, exponent = np.eye(*shape, dtype=np.int32) if part == "weight" else np.zeros(shape, np.int32), 0
        else:
            given = old.heads[f"color.{old.spec.color_layers}.{part}" if last else name]
            integers, exponent = np.zeros(shape, np.int32), given.exponent
            integers[tuple(slice(n) for n in given.integers.shape)] = given.integers
        heads[name] = QuantisedTensor(integers, exponent)
    return heads


def _ignorant(spec: FieldSpec) -> dict[str, QuantisedTensor]:
    return {
        name: QuantisedTensor(np.zeros(shape, np.int32), -5 if name.endswith("weight") else -8)
        for name, shape in spec.context_shapes().items()
    }


def resized(made: Bundle, scale: int = 1) -> Bundle:
    """Return the bundle with frames of SIZE, made `scale` times smaller."""
    width, height = SIZE[0] // scale, SIZE[1] // scale
    video = replace(made.video, width=width, height=height)
    return replace(made, video=video, camera=made.camera.scaled(width, height))


def scene_of(made: Bundle, folder: Path, every: int = 10) -> Scene:
    """Write a scene folder of every `every`-th frame as the bundle shows it."""
    for name in ("frames", "mattes"):
        (folder / name).mkdir(parents=True)
    player, frames = Player(made, "cpu"), []
    for index in range(0, made.video.frames, every):
        rgba, name = player.frame(index), f"{len(frames):06d}.png"
        Image.fromarray(rgba[..., :3]).save(folder / "frames" / name)
        Image.fromarray(rgba[..., 3]).save(folder / "mattes" / name)
        frames.append(Frame(len(frames), made.poses[index], "registered", f"frames/{name}", f"mattes/{name}"))
    video = replace(made.video, frames=len(frames))
    scene = Scene(folder, video, made.camera, tuple(frames))
    scene.save()
    return scene
