"""Tests of several rooms share the sample clip, a scene folder of it with true cameras, and larger clips where there are some."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nerfsem_method.desk import may_have_cuda

if not may_have_cuda():  # Triton interprets its kernels if it is told before its import
    os.environ["TRITON_INTERPRET"] = "1"
# Idle threads of torch and NumPy would spin for a while, on the core that the other process of tests could use.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import chromium
import pytest
import quick_stack
from tiny_field import FINE_POSES
from true_scene import true_scene

from nerfsem_method.capture import ingest
from nerfsem_method.capture.report.figures import Report
from nerfsem_method.codec import cameras
from nerfsem_method.compiled.cache import user_cache
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training import presets

quick_stack.install()
# torch compiles torchac's coder, half a minute, and again for another environment: two that shared a folder would do so by turns.
ENVIRONMENT = hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]
os.environ.setdefault("TORCH_EXTENSIONS_DIR", str(user_cache() / f"extensions-{ENVIRONMENT}"))

DATA = Path(__file__).parent / "data"
LONG = (
    "test_plugin_training", "test_capture_sample", "test_collection_cluster", "test_benchmarks", "test_capture_strangers",
    "test_readme", "test_nerfstudio", "test_capture_occluders", "test_pipeline", "test_compiled_cache", "test_training_triton",
    "test_paper_options", "test_paper", "test_capture_classical", "test_api", "test_plugin_surface", "test_capture_vote",
    "test_plugin_exporter", "test_cli_main", "test_collection_process", "test_training_tcnn", "test_reference_decoder",
    "test_capture_ingest", "test_capture_learned", "test_capture_posed",
)  # fmt: skip
"""These files take longest, and are begun first, in this order: were one of them the last, one core would wait for it. The first
compiles what the others then find compiled, while the second calls for COLMAP: a cluster's processes would compile it twice."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the files that take longest first."""
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout's folder."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(root: Path) -> Path:
    """Return the folder of larger clips, where somebody has put one beside the checkout."""
    folder = root.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder of larger clips (shared/) beside the checkout")
    return folder


@pytest.fixture(scope="session")
def cases(shared: Path) -> Path:
    """Return the folder of small clips that strangers send."""
    if not (shared / "cases").is_dir():
        pytest.skip("no small clips of strangers (shared/cases/)")
    return shared / "cases"


@pytest.fixture(scope="session")
def vase_video() -> Path:
    """Return the sample clip: 60 frames of 270x480."""
    return DATA / "vase.mp4"


@pytest.fixture(scope="session")
def vase_mattes() -> Path:
    """Return the folder of its 60 mattes, PNG files."""
    return DATA / "vase_mattes"


@pytest.fixture(scope="session")
def vase_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return a scene of every fifth frame at 90x160, with true mattes and cameras; all tests share it, and none writes there."""
    return true_scene(tmp_path_factory.mktemp("scene") / "vase.nerfsem", every=5, width=90, height=160)


@pytest.fixture
def vase_copy(vase_scene: Scene, tmp_path: Path) -> Scene:
    """Return a scene whose folder the test may change."""
    return Scene.load(shutil.copytree(vase_scene.root, tmp_path / "vase.nerfsem"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    """Yield a headless Chromium; all tests of pages share it."""
    if chromium.PROGRAM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    started = chromium.Chromium(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def captured(vase_scene, monkeypatch):
    """Put a ready scene with a report in the capture's place, and return the calls that it gets."""
    calls = []
    count = len(vase_scene.frames)
    per_frame = [0.2] * count, [1.0] * count
    Report(count, [], "frame", 0, 0.5, 300.0, 100, 350.0, *per_frame, ["the light changes"]).save(vase_scene.root)
    monkeypatch.setattr(ingest, "ingest", lambda *args: calls.append(args) or vase_scene)
    return calls


@pytest.fixture
def bare(monkeypatch):
    """Let presets train without alignment, agreement and filter, which take most of a short training's time."""
    load = presets.load

    def bared(name: str) -> presets.Preset:
        preset = load(name)
        course = replace(preset.model["course"], align_at=(), agree_at=(), filter_steps=0)
        return replace(preset, model={**preset.model, "course": course})

    monkeypatch.setattr(presets, "load", bared)


@pytest.fixture
def fine_poses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have poses written as finely as in the golden bundles; it is the encoder's choice, and this value gives their bits."""
    monkeypatch.setattr(cameras, "REPROJECTION", FINE_POSES)
