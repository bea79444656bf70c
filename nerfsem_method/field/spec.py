"""A field is made of tables, heads and context models, whose shapes are plain data for training and codec alike.

The 3D levels and the 2D planes are *tables* of binary feature vectors. `FieldSpec.tables` lists them in coding order:
volume levels coarse to fine, then the planes xy, xz, yz, each coarse to fine (method, sections 3 and 4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

PLANE_AXES = ((0, 1), (0, 2), (1, 2))
MAX_VALUES = 1 << 26
"""All tables of a bundle may have at most so many binary values together, lest a small file ask for much memory."""
MAX_SCANNED = 1 << 28
"""All tables may have at most so many vertices together, valid or not; the paper's 12 levels up to 512 have 0.84 of them."""
CONTEXT_LEVELS = 3
"""A context reads at most L_C previous levels (method, section 4)."""
OCCUPANCY_MOMENTS = 4
"""The 3D context models read the occupied volume around a vertex, and its differences along x, y and z."""


@dataclass(frozen=True)
class Level:
    """A level is one resolution of a grid, with vertices at i / resolution, i = 0 ... resolution, of `features` signs each."""

    resolution: int
    features: int


@dataclass(frozen=True)
class Table:
    """A table holds the binary feature vectors of a 3D level (three axes), or of one level of one plane (two axes)."""

    axes: tuple[int, ...]
    resolution: int
    features: int
    limit: int  # The table may have at most this many vectors.

    @property
    def vertices(self) -> int:
        """Return the number of the level's vertices, (resolution + 1) ** dimensions."""
        return (self.resolution + 1) ** len(self.axes)

    @property
    def hashed(self) -> bool:
        """Return whether several vertices may have one entry."""
        return self.vertices > self.limit

    @property
    def entries(self) -> int:
        """Return the number of entries, which are the table's vectors."""
        return min(self.vertices, self.limit)


@dataclass(frozen=True)
class FieldSpec:
    """A specification fixes all shapes of a field, and travels in the bundle.

    `shading` is "sample" (one colour evaluation a sample, method section 3) or "ray" (geometry features are composited
    first and coloured once a ray). `steps` is the number of ray-marching steps along an edge of the unit cube.
    """

    volume: tuple[Level, ...]
    planes: tuple[Level, ...]
    log2_volume_limit: int = 23
    log2_plane_limit: int = 21
    occupancy: int = 96
    steps: int = 192
    width: int = 32
    color_layers: int = 1
    geometry: int = 15
    directions: int = 2
    frequencies: int = 0
    shading: str = "ray"
    context_width: int = 16

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Return all tables in coding order."""
        volume = [Table((0, 1, 2), v.resolution, v.features, 1 << self.log2_volume_limit) for v in self.volume]
        planes = [
            Table(axes, p.resolution, p.features, 1 << self.log2_plane_limit)
            for axes in PLANE_AXES
            for p in self.planes
        ]
        return tuple(volume + planes)

    @property
    def features(self) -> int:
        """Return the length of the concatenated feature vector of a point."""
        return sum(table.features for table in self.tables)

    @property
    def values(self) -> int:
        """Return the number of binary values of all tables, coded or not."""
        return sum(table.entries * table.features for table in self.tables)

    @property
    def storable(self) -> bool:
        """Return whether a bundle may hold tables of these sizes."""
        return self.values <= MAX_VALUES and sum(table.vertices for table in self.tables) <= MAX_SCANNED

    def with_features(self, features: int) -> FieldSpec:
        """Return this specification with so many features a vector on all levels."""
        volume, planes = (tuple(Level(level.resolution, features) for level in grid) for grid in (self.volume, self.planes))
        return replace(self, volume=volume, planes=planes)

    def previous(self, table: int) -> tuple[int, ...]:
        """Return the indices of the at most CONTEXT_LEVELS coarser tables of the same grid that a table's context reads."""
        first = self.first_of_grid(table)
        return tuple(range(max(first, table - CONTEXT_LEVELS), table))

    def first_of_grid(self, table: int) -> int:
        """Return the index of the coarsest table of the grid (volume or plane) that `table` belongs to."""
        if table < len(self.volume):
            return 0
        return table - (table - len(self.volume)) % len(self.planes)

    def head_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the rendering heads' tensors, in coding order; weights are [out, in]."""
        inputs = self.features + 3 * 2 * self.frequencies
        layers = [("density.0", inputs, self.width), ("density.1", self.width, 1 + self.geometry)]
        wide = self.geometry + self.directions**2
        for layer in range(self.color_layers):
            layers.append((f"color.{layer}", wide, self.width))
            wide = self.width
        layers.append((f"color.{self.color_layers}", wide, 3))
        return _with_biases(layers)

    def context_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the context models' tensors, in coding order.

        Each 3D level has a two-layer net ("volume.l"), and each plane level has one for all three planes ("planes.l"). The
        level's own frequency of +1 is the bias of the output layer.
        """
        layers = []
        for level, table in enumerate(self.tables[: len(self.volume) + len(self.planes)]):
            name = f"volume.{level}" if level < len(self.volume) else f"planes.{level - len(self.volume)}"
            inputs = self.context_inputs(level)
            layers += [(f"{name}.0", inputs, self.context_width), (f"{name}.1", self.context_width, table.features)]
        return _with_biases(layers)

    def context_inputs(self, table: int) -> int:
        """Return a context's length: previous levels' features, then occupancy moments (3D) or the projected features (2D)."""
        own = sum(self.tables[p].features for p in self.previous(table))
        return own + (OCCUPANCY_MOMENTS if table < len(self.volume) else self.volume[-1].features)

    def context_name(self, table: int) -> str:
        """Return the name of the net that predicts a table."""
        count = len(self.volume)
        return f"volume.{table}" if table < count else f"planes.{(table - count) % len(self.planes)}"


def _with_biases(layers: list[tuple[str, int, int]]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, inputs, outputs in layers:
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)
    return shapes
