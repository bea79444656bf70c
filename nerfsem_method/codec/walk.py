"""There is one walk over a field's tables, for encoder, decoder and meter alike."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec.coder import Coder
from nerfsem_method.codec.context import Contexts
from nerfsem_method.codec.neighbours import code_table
from nerfsem_method.errors import CorruptBundle, FieldTooLarge
from nerfsem_method.field.layout import TableLayout, TooManyVertices, count_vertices, table_layout
from nerfsem_method.field.spec import FieldSpec, Table

MAX_VERTICES = 1 << 24
"""A table of a bundle may have at most so many valid vertices, lest a small file ask for much memory."""
FREE_SIGNS = 1 << 19
SIGNS_A_BYTE = 1 << 11
"""All tables together may have FREE_SIGNS valid vertices times features, and SIGNS_A_BYTE for each byte of the section, so that
a small file cannot ask for much work. An encoder fills a section that is too short with zeros; the vase has 0.4 million signs
in the standard field and 18 million in the paper's, hence 9 kB at least there."""


def code_tables(
    coder: Coder,
    spec: FieldSpec,
    occupancy: np.ndarray,
    weights: dict[str, np.ndarray],
    tables: tuple[np.ndarray, ...] | None,
) -> tuple[np.ndarray, ...]:
    """Code every table in order; contexts read only what the coder returned.

    Args:
        coder: It is an encoder, a decoder or a meter.
        occupancy: Entries that this grid bool [G, G, G] does not touch are not coded and come back as 0.
        weights: These are the integer context models.
        tables: Each is int8 [entries, features]; None when decoding.

    Returns:
        The tables are as the decoder holds them, int8 in {-1, 0, +1}.

    Raises:
        FieldTooLarge: A table to be encoded has more than MAX_VERTICES valid vertices.
        CorruptBundle: There are too many valid vertices for the bytes that a decoder has, see FREE_SIGNS.
    """
    contexts = Contexts(spec, weights)
    decoded: list[np.ndarray] = []
    signs = 0
    for index, table in enumerate(spec.tables):
        if tables is None:
            layout = _affordable_layout(table, occupancy, FREE_SIGNS + SIGNS_A_BYTE * coder.budget - signs)
        else:
            layout = _codable_layout(table, occupancy)
        signs += len(layout.vertices) * table.features
        values = np.zeros((table.entries, table.features), np.int8)
        if len(layout.entries):
            logits = contexts.logits(index, layout, decoded)
            given = None if tables is None else tables[index][layout.entries]
            values[layout.entries] = code_table(coder, table, layout, given, logits)
        decoded.append(values)
        if index == len(spec.volume) - 1:
            contexts.remember_volume(layout, values)
    coder.fill(-((FREE_SIGNS - signs) // SIGNS_A_BYTE))
    return tuple(decoded)


def fits(spec: FieldSpec, occupancy: np.ndarray) -> bool:
    """Return whether a bundle may hold a field with this occupancy [G, G, G] bool."""
    return all(count_vertices(table, occupancy) <= MAX_VERTICES for table in spec.tables)


def _codable_layout(table: Table, occupancy: np.ndarray) -> TableLayout:
    """Return the layout of a table to be encoded. Raises FieldTooLarge when it has more vertices than a bundle may."""
    try:
        return table_layout(table, occupancy, MAX_VERTICES)
    except TooManyVertices:
        raise FieldTooLarge(
            f"the occupied space touches more than {MAX_VERTICES} vertices of the level of {table.resolution}, which no bundle "
            "may hold; train until the occupancy is frozen, or choose a preset with coarser levels"
        ) from None


def _affordable_layout(table: Table, occupancy: np.ndarray, signs: int) -> TableLayout:
    """Return the layout of a table that may have `signs` signs. Raises CorruptBundle when it has more."""
    try:
        return table_layout(table, occupancy, min(MAX_VERTICES, signs // table.features))
    except TooManyVertices:
        raise CorruptBundle(
            "the tables have more vertices than a bundle of this size can describe; restore it from a copy"
        ) from None
