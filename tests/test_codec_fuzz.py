"""Hostile bundles do no harm: a few hundred mutated ones, and those that once asked for too much."""

import tomllib
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from broken_worker import crash_or_spin
from tiny_field import DENSE, HASHED, tiny_bundle, tiny_state

from benchmarks.fuzz import campaign, mutate
from benchmarks.fuzz.worker import judge
from nerfsem_method.codec import context, header, nsem, rice, walk
from nerfsem_method.codec.cameras import Cameras, code_cameras
from nerfsem_method.codec.coder import Decoder, Encoder, Meter
from nerfsem_method.codec.metadata import metadata_of
from nerfsem_method.codec.occupancy import code_occupancy
from nerfsem_method.errors import BundleError, CorruptBundle
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Video

SEEDS = mutate.load_seeds()
VIDEO = Video("relic.mp4", 0, 0, 4, Fraction(10), "ab" * 32)


def test_seeds_are_all_kinds_of_bundles():
    held = [nsem.decode(data) for data in SEEDS]
    kinds = {(one.mode, any(table.hashed for table in one.state.spec.tables)) for one in held}
    assert kinds == {(mode, hashed) for mode in ("fp", "pc") for hashed in (False, True)}
    described = [bool(metadata_of(nsem.unpack(data, nsem.KNOWN_SECTIONS))) for data in SEEDS]
    assert described.count(True) == 1
    written = [
        nsem.sections(one) == [section for section in nsem.unpack(data, nsem.KNOWN_SECTIONS) if section.tag != "meta"]
        for one, data in zip(held, SEEDS, strict=True)
    ]
    assert written.count(False) == 1, "the occupancy of one is in OCCU"


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_damaged_bundles_decode_or_are_refused_by_name(start):
    outcomes = {number: judge(mutate.case(1, number, SEEDS)) for number in range(start, start + 100)}
    assert not {number: outcome for number, (outcome, failed) in outcomes.items() if failed}
    assert {"decoded", "CorruptBundle", "TruncatedBundle"} <= {outcome for outcome, _ in outcomes.values()}


def test_cases_are_the_same_every_time_and_half_of_them_have_good_checksums():
    assert mutate.case(3, 7, SEEDS) == mutate.case(3, 7, SEEDS) != mutate.case(3, 8, SEEDS)
    for number in range(1, 60, 2):
        data = mutate.case(3, number, SEEDS)
        assert mutate.repair(data) == data


# The watchdog ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed, outcome", [(0, "hang above 0.2 s"), (1, "crash, exit code 7")])
def test_crashes_and_hangs_are_put_down_to_their_case_and_the_next_one_follows(seed, outcome, monkeypatch):
    monkeypatch.setattr(campaign, "serve", crash_or_spin)
    verdicts = []
    campaign.run(seed, range(5, 9), campaign.Limits(0.2), verdicts.append, {})
    told = [(verdict.number, verdict.outcome) for verdict in verdicts]
    assert told == [(5, "decoded"), (6, outcome), (7, "decoded"), (8, outcome)]


# Limits before allocations --------------------------------------------------------------------------------------------


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Yield what tells the most bytes that were allocated at once inside of the block."""
    peak = 0
    tracemalloc.start()
    try:
        yield lambda: peak
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def _forged(spec: FieldSpec, occupancy: np.ndarray, grid: bytes) -> bytes:
    encoder = Encoder()
    code_occupancy(encoder, spec.occupancy, occupancy, mixed=True)
    parts = {section.tag: section for section in nsem.sections(tiny_bundle())}
    payloads = {"SPEC": header.pack_header(replace(VIDEO, frames=6), spec), nsem.OCCUPANCY: encoder.finish(), "GRID": grid}
    payloads |= {"HEAD": bytes(500), "CTXT": bytes(500)}
    return nsem.pack([replace(parts[tag], payload=payloads.get(tag, parts[tag].payload)) for tag in parts])


def test_a_small_file_cannot_ask_for_many_vertices():
    """A full occupancy costs a few bytes, and brings 264 million valid vertices (tens of GB) about."""
    spec = FieldSpec((Level(640, 1),), (Level(4, 1),), log2_volume_limit=8, occupancy=16)
    data = _forged(spec, np.ones((16, 16, 16), bool), b"\xff" * 100)
    with traced_memory() as peak, pytest.raises(CorruptBundle, match="more vertices than a bundle of this size"):
        nsem.decode(data)
    assert peak() < 10 << 20


def test_levels_too_large_to_visit_are_refused_in_the_header():
    for volume, planes in (((1024, 1),), ((4, 1),)), (((4, 1),), ((4096, 1),) * 16):
        spec = FieldSpec(tuple(Level(*v) for v in volume), tuple(Level(*p) for p in planes), 8, 8)
        with pytest.raises(CorruptBundle, match="larger than any"):
            header.unpack_header(header.pack_header(VIDEO, spec))


@pytest.mark.parametrize("preset", ["smoke", "quick", "standard", "archive", "paper"])
def test_the_presets_are_within_the_limits(preset):
    path = Path(__file__).resolve().parents[1] / "configs" / f"{preset}.toml"
    shape = tomllib.loads(path.read_text())["field"]
    shape |= {key: tuple(Level(*level) for level in shape[key]) for key in ("volume", "planes")}
    spec = FieldSpec(**shape)
    assert header.unpack_header(header.pack_header(VIDEO, spec)) == (VIDEO, spec)


def test_the_encoder_fills_a_section_that_is_too_short_for_its_vertices(monkeypatch):
    monkeypatch.setattr(walk, "FREE_SIGNS", 100)
    monkeypatch.setattr(walk, "SIGNS_A_BYTE", 2)
    made = tiny_bundle()
    parts = nsem.sections(made)
    read = nsem.decode(nsem.pack(parts))
    assert all((a == b).all() for a, b in zip(made.state.tables, read.state.tables, strict=True))
    short = [replace(part, payload=part.payload[:-1]) if part.tag == "GRID" else part for part in parts]
    with pytest.raises(CorruptBundle, match="more vertices"):
        nsem.decode(nsem.pack(short))


@pytest.mark.parametrize("spec", [DENSE, HASHED], ids=["dense", "hashed"])
def test_contexts_do_not_depend_on_how_many_vertices_are_held_at_once(spec, monkeypatch):
    state = tiny_state(spec)
    weights = {name: tensor.integers for name, tensor in state.contexts.items()}
    bits = []
    for chunk in (1 << 16, 37):
        monkeypatch.setattr(context, "CHUNK", chunk)
        meter = Meter()
        walk.code_tables(meter, spec, state.occupancy, weights, state.tables)
        bits.append(meter.bits)
    assert bits[0] == bits[1]


def test_colours_are_read_without_unfolding_the_stream_behind_them():
    data = rice.pack(np.array([3, -2, 0])) + bytes(4 << 20)
    rice.unpack(data, 3)  # compiling takes memory, too
    with traced_memory() as peak:
        values, used = rice.unpack(data, 3)
    assert values.tolist() == [3, -2, 0] and used == 3 and peak() < 1 << 20


def test_every_decoder_stops_at_the_end_of_its_data():
    with pytest.raises(CorruptBundle, match="too early"):
        code_occupancy(Decoder(b"\x55"), 64, None, mixed=False)
    with pytest.raises(CorruptBundle, match="too early"):
        code_occupancy(Decoder(b"\x55"), 64, None, mixed=True)
    with pytest.raises(CorruptBundle, match="too early"):
        Decoder(b"").integers(None, 1000)
    with pytest.raises(CorruptBundle, match="too early"):
        state = tiny_state(DENSE)
        weights = {name: tensor.integers for name, tensor in state.contexts.items()}
        walk.code_tables(Decoder(b""), DENSE, state.occupancy, weights, None)


# Cameras --------------------------------------------------------------------------------------------------------------


def _camera(**changes) -> Intrinsics:
    return replace(Intrinsics(24, 32, 40.0, 40.0, 12.0, 16.0), **changes)


@pytest.mark.parametrize(
    "camera, distance, what",
    [
        (_camera(width=65535, height=65535), 2, "beyond what nerfsem renders"),
        (_camera(k2=5000.0), 2, "beyond what nerfsem renders"),
        (_camera(), 5000, "pose is out of range"),
    ],
    ids=["pixels", "distortion", "distance"],
)
def test_cameras_that_nobody_can_render_are_refused(camera, distance, what):
    pose = np.eye(3, 4)[None].copy()
    pose[0, 2, 3] = distance
    with pytest.raises(CorruptBundle, match=what):
        code_cameras(Meter(), Cameras(camera, pose, np.ones((1, 3), np.float32)), 1)


def test_absurd_distortion_gives_finite_rays():
    """A ray that is not a number never leaves the cube: marching along it would not end."""
    import torch

    from nerfsem_method.training.cameras import CameraPath

    camera = _camera(fx=0.01, fy=0.01, k1=-4096.0, k2=4096.0, p1=4096.0, p2=-4096.0)
    path = CameraPath(camera, np.eye(3, 4)[None])
    pixels = path.frame_pixels()
    for rays in path.rays(torch.zeros(len(pixels), dtype=torch.long), pixels):
        assert torch.isfinite(rays).all()
    assert np.isfinite(camera.pixel_directions(pixels.numpy())).all()


def test_names_cannot_command_a_terminal():
    video, _ = header.unpack_header(header.pack_header(replace(VIDEO, name="a\x1b[2Jb\nc.mp4"), DENSE))
    assert video.name == "a\ufffd[2Jb\ufffdc.mp4"


def test_a_damaged_tag_cannot_command_a_terminal():
    """In case 46094 of campaign 0 the complaint ran over two lines."""
    with pytest.raises(CorruptBundle, match="is damaged") as caught:
        nsem.decode(SEEDS[0][:12] + b"A\n\x1bC" + SEEDS[0][16:])
    assert str(caught.value).isprintable()


def test_a_spec_that_is_cut_short_or_goes_on_is_refused():
    data = header.pack_header(VIDEO, HASHED)
    for length in range(len(data)):
        with pytest.raises(CorruptBundle, match="ends early"):
            header.unpack_header(data[:length])
    with pytest.raises(CorruptBundle, match="left over"):
        header.unpack_header(data + b"\0")


def test_spec_numbers_of_too_many_bytes_are_refused():
    with pytest.raises(BundleError, match="frames is out of range"):
        header.unpack_header(b"\x80" * 9 + b"\x01")
