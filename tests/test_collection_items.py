"""A folder of clips is searched for items, whatever they are called and wherever they lie; what is passed over is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nerfsem_method import pipeline
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.collection import child
from nerfsem_method.collection.items import Item, find
from nerfsem_method.collection.job import Job
from nerfsem_method.collection.stamps import content_hash, stamp
from nerfsem_method.errors import CaptureError, NerfsemError
from nerfsem_method.pipeline import Options


def touch(folder: Path, *names: str) -> Path:
    """Make files, with their folders, and return the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return folder


def names(folder: Path) -> list[str]:
    """Return the names of the items below a folder."""
    return [item.name for item in find(folder).items]


def test_videos_photographs_and_pictures_with_cameras_are_items(tmp_path):
    touch(
        tmp_path, "a.mp4", "sub/deeper/b.MOV", "shots/1.jpg", "shots/2.jpg", "raw/1.nef", "notes.txt", ".hidden/c.mp4", "d/e.txt"
    )
    touch(tmp_path / "scan", "images/1.png", "masks/1.png")
    (tmp_path / "scan/transforms.json").write_text(json.dumps({"frames": []}))
    assert names(tmp_path) == ["a.mp4", "raw", "scan", "shots", "sub/deeper/b.MOV"]


def test_mattes_lie_beside_their_clip(tmp_path):
    touch(tmp_path, "relic.mp4", "relic_mattes/0.png", "shots/1.jpg", "shots_mattes/1.png", "sub/relic.mp4", "lone_mattes/0.png")
    found = find(tmp_path)
    assert {item.name: item.mattes and item.mattes.name for item in found.items} == {
        "relic.mp4": "relic_mattes", "shots": "shots_mattes", "sub/relic.mp4": None,
    }  # fmt: skip
    assert len(found.passed_over) == 1 and "lone_mattes" in found.passed_over[0]


def test_clips_of_equal_names_have_bundles_of_their_own(tmp_path):
    touch(tmp_path, "relic.mp4", "relic.mov", "a/relic.mp4", "b/relic.mp4")
    found = find(tmp_path).items
    assert len({item.bundle for item in found}) == len({item.digest for item in found}) == 4
    assert {item.bundle for item in found} >= {"relic.mp4.nsem", "a/relic.mp4.nsem"}


@pytest.mark.parametrize("name", ["new\nline.mp4", "qu'o\"te;.mp4", "схв \u202e.mp4", os.fsdecode(b"sch\xf6n.mp4"), "%41?#.mp4"])
def test_names_may_be_odd(name, tmp_path):
    assert names(touch(tmp_path, name)) == [name]


def test_the_bundle_of_a_name_as_long_as_can_be_has_a_name(tmp_path):
    (item,) = find(touch(tmp_path, "x" * 251 + ".mp4")).items
    assert len(Path(item.bundle).name) <= 255


def test_pictures_beside_clips_are_told(tmp_path):
    found = find(touch(tmp_path, "year/a.mp4", "year/cover.jpg"))
    assert [item.name for item in found.items] == ["year/a.mp4"] and "year has clips" in found.passed_over[0]


def test_what_nerfsem_has_made_is_no_clip(tmp_path):
    touch(tmp_path, "a.mp4", "a.nerfsem/capture.json", "a.nerfsem/frames/0.png", "a.nsem-work/nerfsem.log", "a.nsem-work/x/0.png")
    assert names(tmp_path) == ["a.mp4"]


def test_links_in_a_circle_end(tmp_path):
    touch(tmp_path, "sub/a.mp4")
    (tmp_path / "sub/again").symlink_to(tmp_path)
    assert "sub/a.mp4" in names(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"), [((), "holds no clips"), (("1.jpg", "2.jpg"), "is one clip"), (("transforms.json",), "is one clip")]
)
def test_a_folder_without_items_is_refused_with_the_remedy(files, message, tmp_path):
    with pytest.raises(NerfsemError, match=message):
        find(touch(tmp_path, *files))


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(NerfsemError, match="is no folder"):
        find(tmp_path / "none")


def test_a_change_of_clip_or_mattes_is_seen_and_a_copy_is_none(tmp_path):
    touch(tmp_path, "a.mp4", "a_mattes/0.png")
    (item,) = find(tmp_path).items
    before = stamp(item), content_hash(item)
    os.utime(item.source, (1, 1))
    assert stamp(item) != before[0] and content_hash(item) == before[1]
    (tmp_path / "a_mattes/0.png").write_text("else")
    assert content_hash(item) != before[1]


def test_a_clip_that_cannot_be_read_is_an_error_of_the_item(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "nowhere")
    (item,) = find(tmp_path).items
    with pytest.raises(CaptureError, match="a.mp4 cannot be read"):
        stamp(item)
    assert isinstance(item, Item)


def test_hints_for_a_segmenter_are_for_the_items_without_mattes(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(pipeline, "compress", lambda clip, bundle, options, work, tell: asked.append(options.capture))
    options = Options(capture=CaptureOptions(segmenter="birefnet", segmenter_weights=tmp_path, scale="36:64", every=2))
    for mattes in (None, str(tmp_path)):
        child._compress(Job("a", "a.mp4", mattes, options, "page.html"), tmp_path)
    assert asked == [options.capture, CaptureOptions(tmp_path, scale="36:64", every=2)]
