"""Zooms of frames come back as exactly as pixels ask for, take few bytes, and nothing that no encoder writes is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_field import tiny_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.codec.coder import Decoder, Encoder
from nerfsem_method.codec.container import Section, pack, unpack
from nerfsem_method.codec.zooms import LARGEST, ZOOM_BITS, code_zooms, held_zooms
from nerfsem_method.errors import CorruptBundle, UnsupportedBundle
from nerfsem_method.scene.camera import Intrinsics

ONE = 1 << ZOOM_BITS
MIXED = [1, 2.4, 2.4, 0.3, 1, 1]


def written(zooms: np.ndarray) -> bytes:
    encoder = Encoder()
    code_zooms(encoder, zooms, len(zooms))
    return encoder.finish()


def bundle(zooms: list[float] | None) -> nsem.Bundle:
    """Return a bundle of six frames."""
    return replace(tiny_bundle(), zooms=None if zooms is None else np.array(zooms, np.float64))


@pytest.mark.parametrize("zooms", [MIXED, [1.5], [1 / LARGEST, LARGEST], np.geomspace(0.2, 9, 300)])
def test_zooms_come_back_within_half_a_step(zooms):
    zooms = np.array(zooms, np.float64)
    held, foretold = code_zooms(Decoder(written(zooms)), None, len(zooms)), held_zooms(zooms)
    assert foretold is not None and written(held) == written(zooms)
    np.testing.assert_array_equal(held, foretold)
    assert np.abs(held - zooms).max() <= 0.5 / ONE


@pytest.mark.parametrize("zoom", [0.5, 1.7, 16])
def test_half_a_step_moves_no_pixel_by_a_tenth(zoom):
    """A point that falls into the corner of a frame of 1000 x 1000 pixels moves most."""
    camera = Intrinsics(1000, 1000, 900.0, 900.0, 500.0, 500.0)
    corner = camera.zoomed(zoom).pixel_directions(np.array([[1000.0, 1000.0]]))
    shown = [camera.zoomed(off).project(corner, np.eye(3, 4))[0] for off in (zoom, zoom + 0.5 / ONE)]
    assert 0 < np.linalg.norm(shown[0] - shown[1]) < 0.1


def test_details_among_many_frames_take_a_few_bytes():
    assert len(written(np.array([1.0] * 30 + [2.37] * 6 + [1.0] * 14))) <= 14
    assert len(written(np.linspace(0.8, 3, 50))) <= 25


def test_a_bundle_holds_its_zooms_in_a_file(tmp_path):
    made = bundle(MIXED)
    sizes = nsem.write(tmp_path / "relic.nsem", made)
    read = nsem.read(tmp_path / "relic.nsem")
    held = made.quantised()
    assert read.zooms is not None and held.zooms is not None and sizes["ZOOM"] < 40
    np.testing.assert_array_equal(read.zooms, held.zooms)
    np.testing.assert_allclose(read.zooms, MIXED, atol=0.5 / ONE)
    np.testing.assert_array_equal(read.poses, held.poses)
    assert nsem.encode(read) == nsem.encode(held) == nsem.encode(made)
    assert read.camera_of(0) == read.camera and read.camera_of(3) == read.camera.zoomed(float(read.zooms[3]))


@pytest.mark.parametrize("zooms", [None, [1.0] * 6, [1 + 0.4 / ONE] * 6])
def test_a_bundle_of_one_lens_has_no_such_section(zooms):
    made = bundle(zooms)
    assert nsem.encode(made) == nsem.encode(bundle(None)) and "ZOOM" not in nsem.sizes(nsem.encode(made))
    assert made.quantised().zooms is None and nsem.decode(nsem.encode(made)).zooms is None


def test_a_reader_that_does_not_know_zooms_refuses_them_by_name():
    with pytest.raises(UnsupportedBundle, match="ZOOM"):
        unpack(nsem.encode(bundle(MIXED)), set(nsem.KNOWN_SECTIONS) - {"ZOOM"})


def forged(steps: list[int], order: int = 0) -> bytes:
    """Return a section that says these integers."""
    encoder = Encoder()
    encoder.integers(np.array([steps[0], order]), 2)
    encoder.integers(np.array(steps[1:], np.int64) - steps[0], len(steps) - 1)
    return encoder.finish()


@pytest.mark.parametrize(
    "payload",
    [
        forged([0] * 6),
        forged([ONE, ONE, -ONE, ONE, ONE, ONE]),
        forged([ONE, ONE // LARGEST - 1, ONE, ONE, ONE, ONE]),
        forged([ONE * LARGEST + 1] * 6),
        forged([1 << 41] * 6),
        forged([ONE] * 6, 4),
        forged([ONE, 1 << 39, ONE, ONE, ONE, ONE], 1),
        b"",
    ],
    ids=["zero", "negative", "short", "long", "absurd", "order", "sum", "empty"],
)
def test_what_no_encoder_writes_is_refused(payload):
    with pytest.raises(CorruptBundle):
        code_zooms(Decoder(payload), None, 6)
    parts = [Section("ZOOM", payload), *nsem.sections(bundle(None))]
    with pytest.raises(CorruptBundle):
        nsem.decode(pack(parts))


@pytest.mark.parametrize("zoom", [0, -1, np.nan, np.inf, 65, 1 / 65])
def test_zooms_that_no_lens_has_are_not_written(zoom):
    with pytest.raises(ValueError, match="zooms must be"):
        nsem.encode(bundle([zoom, 1, 1, 1, 1, 1]))
