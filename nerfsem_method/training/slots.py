"""Slots say where the trainable values of all tables lie in one flat array, theta, and where an entry finds its own.

Dense tables are stored compactly: only entries that a given occupancy can reach have a slot.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nerfsem_method.errors import NerfsemError
from nerfsem_method.field.layout import table_layout
from nerfsem_method.field.spec import FieldSpec

PADDING = 8
"""So many zeros follow the last value: as many as the longest feature vector may have."""


class Slots:
    """Theta holds, table after table, the slots of its entries, ascending, feature fastest.

    Attributes:
        size: number of values.
        entries: per table [slots] int64, the entry of each slot; a hashed table has a slot for every entry.
        slices: per table its part of theta.
        offsets: int32, for all entries of all tables where in theta the entry's first value lies; entries without a slot point to
            the padding behind all values.

    Raises NerfsemError for vectors that are longer than the padding.
    """

    def __init__(self, spec: FieldSpec, occupancy: np.ndarray) -> None:
        longest = max(table.features for table in spec.tables)
        if longest > PADDING:
            raise NerfsemError(f"a level of {longest} features cannot be trained; give it {PADDING} at most")
        self.spec = spec
        self.entries: list[np.ndarray] = []
        self.slices: list[slice] = []
        offsets = []
        value = 0
        for table in spec.tables:
            entries = np.arange(table.entries) if table.hashed else table_layout(table, occupancy).entries
            own = np.full(table.entries, -1, np.int32)
            own[entries] = value + np.arange(len(entries)) * table.features
            offsets.append(own)
            size = len(entries) * table.features
            self.entries.append(entries)
            self.slices.append(slice(value, value + size))
            value += size
        self.size = value
        self.offsets = np.concatenate(offsets)
        self.offsets[self.offsets < 0] = value

    def indices(self, table: int, entries: np.ndarray) -> np.ndarray:
        """Return where in theta the values of some entries of a table lie: [len(entries), features]."""
        slots = entries if self.spec.tables[table].hashed else np.searchsorted(self.entries[table], entries)
        features = self.spec.tables[table].features
        return self.slices[table].start + slots[:, None] * features + np.arange(features)

    def flat(self, tables: Sequence[np.ndarray]) -> np.ndarray:
        """Return tables [entries, features] as one array [size] int8."""
        return np.concatenate([values[entries].ravel() for values, entries in zip(tables, self.entries, strict=True)])

    def tables(self, flat: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the tables of which `flat` made one array; entries without a slot are 0."""
        result = []
        for table, entries, part in zip(self.spec.tables, self.entries, self.slices, strict=True):
            values = np.zeros((table.entries, table.features), np.int8)
            values[entries] = flat[part].reshape(-1, table.features)
            result.append(values)
        return tuple(result)
