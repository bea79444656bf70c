"""A second decoder that follows FORMAT.md reads the same symbols of the golden bundles, and sees the same frames.

tests/golden/make.py says what the bundles are.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.background.pictures import pictures_of
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import Background
from nerfsem_method.errors import BundleError
from nerfsem_method.playback.player import WHITE, Player

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.nsem"))
REFERENCE = Path(__file__).parents[1] / "docs/reference_decoder.py"
ALONE = """
import runpy, sys
for name in ("nerfsem_method", "nerfsem_dataparsers", "torch", "numba", "PIL"):
    sys.modules[name] = None  # importing it fails
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the reference decoder in a fresh process that can import NumPy and the standard library only."""
    command = [sys.executable, "-c", ALONE, str(REFERENCE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module", params=NAMES)
def golden(request) -> tuple[Path, dict, nsem.Bundle]:
    """Return a bundle's path, what is known of it, and what the package makes of it."""
    path = GOLDEN / f"{request.param}.nsem"
    return path, json.loads(path.with_suffix(".json").read_text()), nsem.read(path)


def background_facts(read: nsem.Bundle) -> dict[str, str]:
    """Return the fingerprints of a bundle's background and residual, as tests/golden/make.py records them."""
    if read.residual is not None:
        return {"residual": hashlib.sha256(read.residual).hexdigest()}
    if isinstance(read.background, Background):
        return {"background": hashlib.sha256(read.background.stream).hexdigest()}
    if isinstance(read.background, nsem.NeuralBackground):
        integers = b"".join(tensor.integers.astype("<i4").tobytes() for tensor in read.background.tensors.values())
        return {"network": hashlib.sha256(integers).hexdigest()}
    return {}


def test_every_option_has_its_golden_bundle():
    specs = [nsem.read(GOLDEN / f"{name}.nsem").state.spec for name in NAMES if name != "vase"]
    assert {(spec.shading, any(table.hashed for table in spec.tables)) for spec in specs} == {
        (shading, hashed) for shading in ("ray", "sample") for hashed in (False, True)
    }
    assert {spec.color_layers for spec in specs} == {0, 1, 2} and {spec.directions for spec in specs} == {2, 3, 4}
    assert {spec.frequencies for spec in specs} == {0, 2}


def test_the_package_decodes_the_recorded_symbols(golden):
    _, facts, read = golden
    assert hashlib.sha256(b"".join(table.tobytes() for table in read.state.tables)).hexdigest() == facts["symbols"]
    assert background_facts(read).items() <= facts.items()
    assert ("background" in facts or "network" in facts) == (read.mode == "pc")


def test_the_reference_decoder_agrees(golden, tmp_path):
    """Symbols and background are equal, and its frame, the recorded one and the package's differ by 1/255 at most."""
    path, facts, read = golden
    extra = ["--background", tmp_path / "plate.h264"] if "background" in facts else []
    extra += ["--residual", tmp_path / "residual.obu"] if "residual" in facts else []
    result = run(path, "--output", tmp_path / "frame.png", "--stride", facts["stride"], *extra)
    assert result.returncode == 0, result.stderr
    assert f"symbols {facts['symbols']}" in result.stdout.splitlines()
    for kind, name in (("background", "plate.h264"), ("residual", "residual.obu")):
        if kind in facts:
            assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == facts[kind]

    frame = np.asarray(Image.open(tmp_path / "frame.png")).astype(int)
    recorded = np.asarray(Image.open(path.with_suffix(".png")))
    played = Player(replace(read, residual=None), "cpu").composited(0, WHITE)[:: facts["stride"], :: facts["stride"]]
    assert np.abs(frame - recorded).max() <= 1
    off = (np.abs(frame - played) > 1).any(-1)
    assert not off.any(), f"{off.sum()} pixels differ"


@pytest.mark.parametrize("frame", [0, 5])
def test_the_reference_decoder_paints_the_same_background(frame, tmp_path):
    path = GOLDEN / "neural-pc.nsem"
    result = run(path, "--frame", str(frame), "--background", tmp_path / "plate.png")
    assert result.returncode == 0, result.stderr
    painted = np.asarray(Image.open(tmp_path / "plate.png")).astype(int)
    plate = list(pictures_of(nsem.read(path)))[frame]
    assert np.abs(painted - plate).max() <= 1 and plate.std() > 10


@pytest.mark.parametrize("frame", [1, 2])
def test_the_reference_decoder_sees_frames_through_their_own_lens(frame, tmp_path):
    """The recorded picture of frame 0 is that of a long lens; frame 1 is the camera's, and frame 2 that of a short one."""
    path = GOLDEN / "zoomed-fp.nsem"
    result = run(path, "--frame", str(frame), "--output", tmp_path / "frame.png")
    assert result.returncode == 0, result.stderr
    seen, player = np.asarray(Image.open(tmp_path / "frame.png")).astype(int), Player(nsem.read(path), "cpu")
    assert np.abs(seen - player.composited(frame, WHITE)).max() <= 1


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return the reference decoder as a module."""
    spec = importlib.util.spec_from_file_location("reference_decoder", REFERENCE)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_decoders_hold_the_same_cameras(golden, reference):
    path, _, read = golden
    sections, frames = reference.read_sections(path.read_bytes()), read.video.frames
    zooms, tints = reference.read_zooms(sections.get("ZOOM"), frames), reference.read_tints(sections.get("TINT"), frames)
    cameras = reference.read_cameras(reference.Decoder(sections["CAMS"]), frames, zooms, tints)
    held = (read.camera.width, read.camera.height), [*cameras.focal, *cameras.centre, *cameras.distortion]
    assert held == (cameras.size, list(read.camera.params))
    np.testing.assert_array_equal(cameras.zooms, np.ones(frames) if read.zooms is None else read.zooms)
    np.testing.assert_allclose(cameras.rotations, read.poses[:, :, :3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(cameras.translations, read.poses[:, :, 3], rtol=0, atol=1e-12)
    np.testing.assert_allclose(cameras.maps, read.colors, rtol=1e-6)


@pytest.mark.parametrize("name", ["dense-pc", "hashed-pc", "mixed-fp", "zoomed-fp"])
def test_both_decoders_refuse_the_same_damage(name, reference):
    """One byte of a section is another one, and its checksum fits: both notice, or neither and the symbols are right."""
    sections = nsem.unpack((GOLDEN / f"{name}.nsem").read_bytes(), nsem.KNOWN_SECTIONS)
    spec = sections.pop(0)  # another shape may be as slow as it is large
    rng = np.random.default_rng(4)
    outcomes = set()
    for _ in range(25):
        forged = [*sections]
        index = rng.integers(len(forged))
        payload = bytearray(forged[index].payload)
        payload[rng.integers(len(payload))] ^= rng.integers(1, 256)
        forged[index] = nsem.Section(forged[index].tag, bytes(payload))
        data = nsem.pack([spec, *forged])
        try:
            mine = nsem.decode(data).state.tables
        except BundleError:
            mine = None
        try:
            parts = reference.read_sections(data)
            theirs = reference.decode(parts)
            if "BACK" in parts:
                reference.read_background(parts["BACK"], theirs.spec.frames)
        except reference.Refused:
            theirs = None
        assert (mine is None) == (theirs is None), forged[index].tag
        outcomes.add(mine is None)
    assert outcomes == {True, False}


def test_the_reference_decoder_names_what_is_wrong(tmp_path):
    damaged = tmp_path / "damaged.nsem"
    damaged.write_bytes((GOLDEN / "dense-fp.nsem").read_bytes()[:-1])
    result = run(damaged)
    assert result.returncode == 1 and result.stderr == f"{damaged}: the file ends early\n"
