"""Archival metadata goes in, changes and goes out, and never touches the video."""

import json

import pytest
from tiny_field import tiny_bundle

from nerfsem_method import __version__
from nerfsem_method.cli.describe import Describe, DublinCore
from nerfsem_method.cli.info import Info
from nerfsem_method.codec import nsem
from nerfsem_method.codec.container import Section, pack, unpack
from nerfsem_method.codec.metadata import metadata_of
from nerfsem_method.errors import CorruptBundle, NerfsemError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "relic.nsem"
    nsem.write(path, tiny_bundle())
    return path


def test_elements_are_written_changed_and_removed(path, capsys):
    before = path.read_bytes()
    Describe(path, DublinCore(title="Amphora", rights="CC0", creator="Euphronios \x1b[31m?")).run()
    Describe(path, DublinCore(title="Kylix", rights="")).run()
    capsys.readouterr()
    Info((path,), json=True).run()
    facts = json.loads(capsys.readouterr().out)
    encoder = f"nerfsem {__version__}"
    assert facts["metadata"] == {"creator": "Euphronios \x1b[31m?", "encoder": encoder, "title": "Kylix"}
    assert facts["parts"]["meta"] > 12
    Info((path,)).run()
    shown = capsys.readouterr().out
    assert "Kylix" in shown and "\x1b" not in shown
    Describe(path, DublinCore(title="", creator="")).run()
    assert path.read_bytes() == before


def test_the_video_and_its_fp_half_keep_it(path):
    plain = nsem.read(path)
    Describe(path, DublinCore(title="Amphora")).run()
    assert nsem.symbol_hash(nsem.read(path).state.tables) == nsem.symbol_hash(plain.state.tables)
    assert b"Amphora" in nsem.drop_background(path.read_bytes())


def test_nothing_to_write_is_an_error(path):
    with pytest.raises(NerfsemError, match="give an element"):
        Describe(path).run()


def test_a_record_without_end_is_refused(path):
    before = path.read_bytes()
    with pytest.raises(NerfsemError, match="shorten"):
        Describe(path, DublinCore(description="x" * 70_000)).run()
    assert path.read_bytes() == before


MALFORMED = [b"", b"[]", b'{"title": 3}', b'{"colour": "red"}', b"\xff", b"[" * 60_000, b'{"title": "%s"}' % (b"x" * 70_000)]


@pytest.mark.parametrize("payload", MALFORMED)
def test_a_malformed_record_is_named(payload):
    (held,) = unpack(pack([Section("meta", payload)]), ())  # a record is mere bytes to the container
    with pytest.raises(CorruptBundle, match="Dublin Core"):
        metadata_of([held])
