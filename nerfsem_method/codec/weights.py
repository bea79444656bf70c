"""The weights of heads and context models are adaptively coded integers, with one power-of-two step a tensor."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import Coder
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.field.state import QuantisedTensor

EXPONENTS = range(-24, 9)
INTEGER_LIMIT = 1 << 15


def code_weights(
    coder: Coder, shapes: dict[str, tuple[int, ...]], tensors: dict[str, QuantisedTensor] | None
) -> dict[str, QuantisedTensor]:
    """Code the tensors named by `shapes` in their order (None when decoding) and return them.

    Raises CorruptBundle for a step or an integer that no encoder writes.
    """
    exponents = coder.integers(None if tensors is None else np.array([tensors[n].exponent for n in shapes]), len(shapes))
    decoded = {}
    for (name, shape), exponent in zip(shapes.items(), exponents, strict=True):
        integers = coder.integers(None if tensors is None else tensors[name].integers, int(np.prod(shape)))
        if int(exponent) not in EXPONENTS or np.abs(integers).max() >= INTEGER_LIMIT:
            raise CorruptBundle(f"weights {name} are out of range; the file is damaged, restore it from a copy")
        decoded[name] = QuantisedTensor(integers.astype(np.int32).reshape(shape), int(exponent))
    return decoded
