"""What follows from tensors that seldom change is computed when they do, not at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

Value = TypeVar("Value")


class Derived(Generic[Value]):
    """A derived value is made anew once one of the tensors from which it follows is another, or was changed in place.

    Torch counts what changes a tensor in place, all but its fused optimisers: parameters are no such tensors.
    """

    def __init__(self) -> None:
        self._made: tuple[tuple[Tensor, ...], tuple[int, ...], Value] | None = None

    def of(self, make: Callable[[], Value], *sources: Tensor) -> Value:
        """Return what `make` makes of the present `sources`."""
        versions = tuple(source._version for source in sources)
        made = self._made
        if made is None or made[1] != versions or any(a is not b for a, b in zip(made[0], sources, strict=True)):
            made = self._made = sources, versions, make()
        return made[2]

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Let a copy begin empty: its tensors are counted anew."""
        return type(self), ()
