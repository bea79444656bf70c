"""What tests of several rooms share: the sample clip, a scene folder of it with true cameras, optional larger clips."""

from __future__ import annotations

import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.scene import Frame, Intrinsics, Scene, Video

DATA = Path(__file__).parent / "data"
BOX_CENTER = np.array([0.0, 0.0, 1.19])
BOX_SIDE = 0.7
"""The vase in metres, 0.34 x 0.30 x 0.63 by carving with all mattes, and a margin."""


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
def vase_scene(tmp_path_factory: pytest.TempPathFactory, vase_video: Path, vase_mattes: Path) -> Scene:
    """A scene folder of every fifth frame at 135x240, with true mattes and cameras, the vase in the unit cube.

    Shared by the session: do not change it.
    """
    from nerfsem_method.video import read_video

    root = tmp_path_factory.mktemp("vase") / "vase.nerfsem"
    for folder in ("frames", "mattes"):
        (root / folder).mkdir(parents=True)
    truth = json.loads((DATA / "vase_cameras.json").read_text())
    frames = []
    for index, picture in enumerate(list(read_video(vase_video, 135, 240))[::5]):
        name = f"{index:06d}.png"
        Image.fromarray(picture).save(root / "frames" / name)
        with Image.open(vase_mattes / f"{5 * index:06d}.png") as matte:
            matte.convert("L").resize((135, 240), Image.Resampling.BOX).save(root / "mattes" / name)
        pose = in_box(np.array(truth["cam_from_world"][5 * index]))
        frames.append(Frame(index, f"frames/{name}", f"mattes/{name}", pose, "registered"))
    full = Intrinsics(*(truth[key] for key in ("width", "height", "fx", "fy", "cx", "cy")))
    digest = hashlib.sha256(vase_video.read_bytes()).hexdigest()
    video = Video("vase.mp4", 135, 240, len(frames), Fraction(3), digest)
    scene = Scene(root, video, full.scaled(135, 240), tuple(frames))
    scene.save()
    return scene


def in_box(cam_from_world: np.ndarray) -> np.ndarray:
    """A pose [3, 4] in metres as one in the units of the vase's box."""
    corner = BOX_CENTER - BOX_SIDE / 2
    translation = (cam_from_world[:, :3] @ corner + cam_from_world[:, 3]) / BOX_SIDE
    return np.column_stack([cam_from_world[:, :3], translation])


@pytest.fixture
def vase_copy(vase_scene: Scene, tmp_path: Path) -> Scene:
    """A scene folder that a test may change."""
    return Scene.load(shutil.copytree(vase_scene.root, tmp_path / "vase.nerfsem"))
