"""A field's state is what the codec sees of it: symbols, occupancy and integer weights, as NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfsem_method.field.spec import FieldSpec


@dataclass(frozen=True)
class QuantisedTensor:
    """A quantised tensor is integers [...] int32 with one power-of-two step: value = integer * 2 ** exponent."""

    integers: np.ndarray
    exponent: int

    @property
    def values(self) -> np.ndarray:
        """Return the weights as float32, exactly."""
        return np.ldexp(self.integers.astype(np.float32), self.exponent)


@dataclass(frozen=True)
class FieldState:
    """A state is all that a bundle stores of a field.

    Attributes:
        spec: The specification gives the shapes.
        occupancy: Samples lie only in voxels that are True; bool [G, G, G], indexed x, y, z.
        tables: Each of `spec.tables` has int8 [entries, features]: -1 or +1 where coded, 0 where no occupied voxel touches.
        heads: The rendering heads have the names and shapes of `spec.head_shapes()`.
        contexts: The context models have those of `spec.context_shapes()`.
    """

    spec: FieldSpec
    occupancy: np.ndarray
    tables: tuple[np.ndarray, ...]
    heads: dict[str, QuantisedTensor]
    contexts: dict[str, QuantisedTensor]
