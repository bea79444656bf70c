"""Tables of metadata come out of spreadsheets, in many forms, and are told of what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from nerfsem_method.collection.items import Item
from nerfsem_method.collection.metadata import read
from nerfsem_method.errors import NerfsemError

ITEMS = [Item(name, Path(name)) for name in ("a/relic.mp4", "b/relic.mp4", "Vas\u00e9.mov", "shots")]


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a table and return its path."""
    path = tmp_path / "pieces.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_separators_marks_and_line_ends_of_spreadsheets(separator, encoding, ending, tmp_path):
    lines = (("clip", "dc:Title", "DC.rights"), ("shots", '"two\nlines, and ""quotes"""', "CC0"), ("", "", ""))
    found = read(table(tmp_path, ending.join(map(separator.join, lines)), encoding), ITEMS)
    assert found.of_items == {"shots": {"title": 'two\nlines, and "quotes"', "rights": "CC0"}}


def test_a_clip_may_be_called_by_path_name_or_stem(tmp_path):
    text = "clip,title\na/relic.mp4,1\nb\\relic,2\nVase\u0301,3\n./shots/,4\n"
    assert read(table(tmp_path, text), ITEMS).of_items == {
        "a/relic.mp4": {"title": "1"}, "b/relic.mp4": {"title": "2"}, "Vas\u00e9.mov": {"title": "3"}, "shots": {"title": "4"},
    }  # fmt: skip


def test_what_does_not_fit_is_told(tmp_path):
    found = read(table(tmp_path, "clip,title,shelf\nshots,one,7\ncoin,two\n"), ITEMS)
    assert found.of_items == {"shots": {"title": "one"}}
    told = " ".join(found.remarks)
    assert "'shelf'" in told and "line 3" in told and "no row for 3 of the clips" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("name,title\nshots,x\n", "has no column 'clip'.*'name', 'title'"),
        ("clip,shelf\nshots,x\n", "no column of Dublin Core"),
        ("clip,title\nrelic.mp4,x\n", "line 2: 'relic.mp4' may be 'a/relic.mp4', 'b/relic.mp4'"),
        ("clip,title\nshots,x\nshots,y\n", "two rows for the clip 'shots', the second in line 3"),
        ('clip,title\nshots,"x\n', "is damaged in line"),
        (f"clip,title\nshots,{'x' * 70_000}\n", "line 2: the metadata takes"),
    ],
    ids=["empty", "no clip", "no element", "two clips", "two rows", "quote", "long"],
)
def test_tables_that_cannot_be_meant(text, message, tmp_path):
    with pytest.raises(NerfsemError, match=message):
        read(table(tmp_path, text), ITEMS)


def test_other_encodings_are_told(tmp_path):
    with pytest.raises(NerfsemError, match="save it as CSV in UTF-8"):
        read(table(tmp_path, "clip,title\nshots,\u00e9\n", "latin-1"), ITEMS)
    with pytest.raises(NerfsemError, match="cannot be read"):
        read(tmp_path / "none.csv", ITEMS)
