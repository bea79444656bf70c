"""What tests of several rooms share: the sample clip, a scene folder of it with true cameras, optional larger clips."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

if not Path("/proc/driver/nvidia").exists():  # no GPU: Triton interprets its kernels, if it is told before it is imported
    os.environ["TRITON_INTERPRET"] = "1"

import pytest
from true_scene import true_scene

from nerfsem_method.scene.scene import Scene

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(root: Path) -> Path:
    """Larger clips, where somebody has put them beside the checkout."""
    folder = root.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder of larger clips (shared/) beside the checkout")
    return folder


@pytest.fixture(scope="session")
def vase_video() -> Path:
    """270x480, 60 frames."""
    return DATA / "vase.mp4"


@pytest.fixture(scope="session")
def vase_mattes() -> Path:
    """Folder of 60 PNG files."""
    return DATA / "vase_mattes"


@pytest.fixture(scope="session")
def vase_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A scene folder of every fifth frame at 135x240, with true mattes and cameras; all tests share it, none writes."""
    return true_scene(tmp_path_factory.mktemp("scene") / "vase.nerfsem", every=5, width=135, height=240)


@pytest.fixture
def vase_copy(vase_scene: Scene, tmp_path: Path) -> Scene:
    """A scene folder that a test may change."""
    return Scene.load(shutil.copytree(vase_scene.root, tmp_path / "vase.nerfsem"))
