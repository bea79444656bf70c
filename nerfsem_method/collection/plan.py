"""A plan says which items are to be done, and which are settled: done or failed, and unchanged since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nerfsem_method.collection.items import Item
from nerfsem_method.collection.shelf import Shelf
from nerfsem_method.collection.stamps import content_hash, file_hash, stamp
from nerfsem_method.collection.store import Row
from nerfsem_method.errors import CaptureError

GONE = "its clip is gone from the folder of clips"
"""An item that was never done, and whose clip is no longer there, has failed for this reason."""


@dataclass
class Plan:
    """A plan is the rows as they are now, those among them that are new or changed, and the items that are to be done."""

    rows: dict[str, Row]
    changed: list[Row] = field(default_factory=list)
    todo: list[Item] = field(default_factory=list)


def plan(items: Sequence[Item], rows: Sequence[Row], options: str, shelf: Shelf, again: bool) -> Plan:
    """Return what is to be done of the items with options of this hash; `again` begins failed ones anew, whatever the reason."""
    made = Plan({row.name: row for row in rows})
    present = {item.name for item in items}
    for row in rows:
        if row.name not in present and row.state in ("waiting", "running"):
            made.changed.append(replace(row, state="failed", reason=GONE, lasting=True))
    for item in items:
        known = made.rows.get(item.name)
        row = known and _settled(known, item, options, shelf, again)
        if row is None:
            made.todo.append(item)
            row = Row(item.name, bundle=item.bundle, metadata=known.metadata if known else {})
        if row != known:
            made.changed.append(row)
    made.rows |= {row.name: row for row in made.changed}
    return made


def _settled(row: Row, item: Item, options: str, shelf: Shelf, again: bool) -> Row | None:
    """Return the row of an item of which nothing is to be done; None where it is to be begun."""
    if row.options != options:
        return None
    if row.state == "running" and row.sha256 and file_hash(shelf.bundle(row)) == row.sha256:
        row = replace(row, state="done")  # the command was killed when the bundle was there, and the row not yet
    if not (shelf.holds(row) if row.state == "done" else row.state == "failed" and row.lasting and not again):
        return None
    try:
        now = stamp(item)
        if now != row.stamp and content_hash(item) != row.content:
            return None
    except CaptureError:  # the item's own attempt says what is wrong
        return None
    return replace(row, stamp=now)
