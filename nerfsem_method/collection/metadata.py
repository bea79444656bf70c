"""A table says what the pieces are: a CSV file of spreadsheets, one row a clip, a column `clip` and columns of Dublin Core."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nerfsem_method.codec.metadata import ELEMENTS, metadata_section
from nerfsem_method.collection.items import Item
from nerfsem_method.errors import NerfsemError, printable
from nerfsem_method.media.naming import shortened

CLIP = "clip"
"""This column has the clip's path below the folder of clips, or its name alone where no other clip is called so."""
_SEPARATORS = (",", ";", "\t")
_LARGEST_FIELD = 1 << 20


@dataclass(frozen=True)
class Records:
    """Records are the Dublin Core elements of each item, by its name, and sentences about what does not fit."""

    of_items: dict[str, dict[str, str]]
    remarks: tuple[str, ...] = ()


def read(path: Path, items: Sequence[Item]) -> Records:
    """Return what a table says of the items. Raises NerfsemError for a file that is no such table, or rows that contradict."""
    header, rows = _table(path)
    used = {_element(title): index for index, title in enumerate(header) if _element(title) in (CLIP, *ELEMENTS)}
    if CLIP not in used:
        raise NerfsemError(
            f"{path} has no column {CLIP!r}, which says of which clip a row tells; its columns are {_list(header)}"
        )
    if len(used) == 1:
        raise NerfsemError(f"{path} has no column of Dublin Core ({', '.join(ELEMENTS)}); its columns are {_list(header)}")
    known, found, strange = _names(items), {}, []
    for number, row in rows:
        cells = {element: row[index].strip() for element, index in used.items() if index < len(row)}
        name = _clip(path, number, cells.pop(CLIP, ""), known)
        if name is None:
            strange.append(f"line {number}")
        elif name in found:
            raise NerfsemError(f"{path} has two rows for the clip {name!r}, the second in line {number}; keep one of them")
        else:
            found[name] = {element: text for element, text in cells.items() if text}
            _check_size(path, number, found[name])
    return Records(found, tuple(_remarks(path, header, used, strange, [item for item in items if item.name not in found])))


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the rows that are not empty, with their lines' numbers."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise NerfsemError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise NerfsemError(f"{path} is no UTF-8 text; save it as CSV in UTF-8") from None
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    csv.field_size_limit(_LARGEST_FIELD)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        rows = [(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise NerfsemError(f"{path} is damaged in line {lines.line_num} ({error}); save it as CSV again") from None
    if not rows:
        raise NerfsemError(f"{path} is empty; its first line names the columns, {CLIP} and elements of Dublin Core")
    return rows[0][1], rows[1:]


def _element(title: str) -> str:
    """Return a column's title as the elements are called: `dc:Title` and `DC.title` are title."""
    return title.strip().lower().removeprefix("dc:").removeprefix("dc.")


def _names(items: Sequence[Item]) -> dict[str, set[str]]:
    """Return the items' names by all that they may be called: path, file name, file name without its ending."""
    known: dict[str, set[str]] = {}
    for item in items:
        path = PurePosixPath(item.name)
        for called in {item.name, path.name, str(path.with_suffix("")), path.stem}:
            known.setdefault(_composed(called), set()).add(item.name)
    return known


def _composed(text: str) -> str:
    """Return a text whose letters with accents are one character each; some systems write two."""
    return unicodedata.normalize("NFC", text)


def _clip(path: Path, number: int, called: str, known: dict[str, set[str]]) -> str | None:
    """Return the name of the item that a row tells of, None where there is none."""
    meant = known.get(_composed(called.replace("\\", "/").removeprefix("./").rstrip("/")), set())
    if len(meant) > 1 and called not in meant:
        raise NerfsemError(
            f"{path}, line {number}: {called!r} may be {_list(sorted(meant))}; write the path below the clips' folder"
        )
    return called if called in meant else next(iter(meant), None)


def _check_size(path: Path, number: int, record: dict[str, str]) -> None:
    try:
        metadata_section(record)
    except NerfsemError as error:
        raise NerfsemError(f"{path}, line {number}: {error}") from None


def _remarks(path: Path, header: list[str], used: dict[str, int], strange: list[str], without: list[Item]) -> list[str]:
    remarks = []
    ignored = [title for index, title in enumerate(header) if index not in used.values() and title.strip()]
    if ignored:
        remarks.append(f"{path}: these columns are no Dublin Core and are left out: {_list(ignored)}")
    if strange:
        remarks.append(f"{path}: no clip is called as {shortened(', '.join(strange))} says")
    if without:
        remarks.append(f"{path} has no row for {len(without)} of the clips, such as {printable(without[0].name)}")
    return remarks


def _list(names: Sequence[str]) -> str:
    return shortened(", ".join(repr(name) for name in names), 200)
