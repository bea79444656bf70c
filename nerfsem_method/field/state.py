"""A field as the codec sees it: symbols, occupancy and integer weights. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.field.spec import FieldSpec


@dataclass(frozen=True)
class QuantisedTensor:
    """Integers [...] int32 with one power-of-two step: value = integer * 2 ** exponent."""

    integers: np.ndarray
    exponent: int

    @property
    def values(self) -> np.ndarray:
        """The weights, float32, exact."""
        return np.ldexp(self.integers.astype(np.float32), self.exponent)


@dataclass(frozen=True)
class FieldState:
    """All that a bundle stores of a field.

    Attributes:
        spec: the shapes.
        occupancy: [G, G, G] bool, indexed x, y, z; samples lie in True voxels only.
        tables: per `spec.tables`, [entries, features] int8: -1 or +1 where coded, 0 where no occupied voxel touches.
        heads: the rendering heads by `spec.head_shapes()`.
        contexts: the context models by `spec.context_shapes()`.
    """

    spec: FieldSpec
    occupancy: np.ndarray
    tables: tuple[np.ndarray, ...]
    heads: dict[str, QuantisedTensor]
    contexts: dict[str, QuantisedTensor]
