"""Every command of nerfstudio does with a run of nerfsem what docs/nerfstudio.md says; a tiny run and imports of it serve all."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro
from test_plugin_training import smoke

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.plugin import checkpoint, exporter
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.runs import import_bundle
from nerfsem_method.plugin.training import train

PAGE = Path(__file__).parents[1] / "docs/nerfstudio.md"
RUNS = ("trained", "fp", "pc")
STEPS = 60


def table() -> dict[str, list[str]]:
    """Return the page's rows: three cells for each command."""
    rows = re.findall(r"^\| `(ns-.*?)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {command: cells.split(" | ") for command, cells in rows}


@dataclass(frozen=True)
class Asked:
    """A command is asked of the run of `config`, and may write into `out`."""

    config: Path
    out: Path
    patch: pytest.MonkeyPatch

    def loaded(self, *words: str) -> list[str]:
        return [*words, "--load-config", str(self.config)]


@pytest.fixture(scope="session")
def runs(vase_scene, tmp_path_factory) -> dict[str, Path]:
    """Return the config.yml of a trained run, and of its FP and PC bundles, imported."""
    folder = tmp_path_factory.mktemp("nerfstudio")
    made = {"trained": train(smoke(vase_scene, folder, timestamp="run", max_num_iterations=STEPS))}
    for mode in ("fp", "pc"):
        bundle = checkpoint.export(made["trained"], folder, mode, BackgroundOptions())
        made[mode] = import_bundle(bundle, folder / mode)
    return made


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Put the ffmpeg that nerfsem brings on the path, under its usual name."""
    import imageio_ffmpeg

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


def export(*words: str) -> Callable[[Asked], list[Path]]:
    """Return what runs `ns-export` with some options and returns the files that it has written."""

    def run(asked: Asked) -> list[Path]:
        from nerfstudio.scripts import exporter as script

        asked.patch.setattr(tyro, "cli", tyro.cli)
        meshes = script.o3d.geometry.TriangleMesh
        through_points = meshes.create_from_point_cloud_poisson
        coarser = lambda points, depth: through_points(points, depth=depth - 3)  # noqa: E731 (so fine a surface takes a minute)
        asked.patch.setattr(meshes, "create_from_point_cloud_poisson", coarser)
        exporter.register()
        args = [words[0], "--output-dir", str(asked.out), *asked.loaded(), *words[1:]]
        tyro.cli(script.Commands, args=args).main()
        return sorted(asked.out.iterdir())

    return run


def render(*words: str) -> Callable[[Asked], list[Path]]:
    """Return the same of `ns-render`."""

    def run(asked: Asked) -> list[Path]:
        from nerfstudio.scripts import render as script

        options = list(words[1:])
        if words[0] == "camera-path":
            asked.out.mkdir()
            (asked.out.parent / "path.json").write_text(json.dumps(camera_path()))
            options += ["--camera-path-filename", str(asked.out.parent / "path.json")]
        target = asked.out if words[0] == "dataset" else asked.out / "made.mp4"
        args = [words[0], "--output-path", str(target), *asked.loaded(), *options]
        tyro.cli(script.Commands, args=args).main()
        return sorted(path for path in asked.out.rglob("*") if path.is_file())

    return run


def camera_path() -> dict[str, Any]:
    """Return a path as nerfstudio's viewer saves it, with a crop box that halves the object."""
    pose = np.eye(4)
    pose[2, 3] = 0.9
    camera = {"camera_to_world": pose.ravel().tolist(), "fov": 50, "aspect": 1}
    crop: dict[str, Any] = {"crop_center": [0, 0, 0], "crop_scale": [0.2, 2, 2], "crop_rot": [0.0, 0.0, 0.0]}
    crop["crop_bg_color"] = {"r": 255, "g": 0, "b": 0}
    return {
        "camera_type": "perspective", "render_height": 40, "render_width": 40, "seconds": 1, "camera_path": [camera] * 2,
        "crop": crop,
    }  # fmt: skip


def evaluate(asked: Asked) -> list[Path]:
    from nerfstudio.scripts.eval import ComputePSNR

    tyro.cli(ComputePSNR, args=asked.loaded("--output-path", str(asked.out / "figures.json"))).main()
    return [asked.out / "figures.json"]


def view(asked: Asked) -> list[Path]:
    """Start the viewer, look through it once, and leave."""
    from nerfstudio.scripts.viewer import run_viewer as script

    class Left(Exception):
        pass

    def leave(_: float) -> None:
        raise Left

    asked.patch.chdir(asked.out.parent)
    with pytest.raises(Left):
        made = tyro.cli(script.RunViewer, args=asked.loaded("--viewer.websocket-port-default", "7100"))
        asked.patch.setattr(time, "sleep", leave)
        made.main()
    return [asked.config]


def resume(asked: Asked) -> list[Path]:
    from nerfstudio.scripts import train as script

    config = trainer_config("smoke")
    loaded = checkpoint.load_config(asked.config)
    config.data = config.pipeline.datamanager.data = loaded.data
    config.output_dir, config.timestamp, config.load_dir = asked.out, "again", asked.config.parent / "nerfstudio_models"
    config.max_num_iterations, config.vis = 2, "none"
    script.main(config)
    return list(config.get_checkpoint_dir().iterdir())


COMMANDS: dict[str, tuple[Callable[[Asked], list[Path]], str]] = {
    "ns-viewer": (view, "config.yml"),
    "ns-eval": (evaluate, "figures.json"),
    "ns-render camera-path": (render("camera-path"), "made.mp4"),
    "ns-render interpolate": (render("interpolate", "--interpolation-steps", "1"), "made.mp4"),
    "ns-render spiral": (render("spiral", "--seconds", "0.1"), "made.mp4"),
    "ns-render dataset": (render("dataset", "--rendered-output-names", "rgb"), "000000.jpg"),
    "ns-export pointcloud": (export("pointcloud", "--num-points", "2000"), "point_cloud.ply"),
    "ns-export poisson": (export("poisson", "--num-points", "2000", "--texture-method", "point_cloud"), "poisson_mesh.ply"),
    "ns-export tsdf": (export("tsdf", "--resolution", "32", "--num-pixels-per-side", "64"), "material_0.png"),
    "ns-export cameras": (export("cameras"), "transforms_train.json"),
    "ns-export gaussian-splat": (export("gaussian-splat"), ""),
    "ns-export marching-cubes": (export("marching-cubes"), ""),
    "ns-export nerfsem-bitstream --mode fp": (export("nerfsem-bitstream", "--mode", "fp"), "vase-fp.nsem"),
    "ns-export nerfsem-bitstream --mode pc": (export("nerfsem-bitstream", "--mode", "pc"), "vase-pc.nsem"),
    "ns-train --load-dir": (resume, f"step-{STEPS + 1:09d}.ckpt"),
}


def coloured_mesh(made: dict[str, Path]) -> None:
    """Make sure that a mesh opens in a program that reads meshes, with faces and colours that differ, few of them black."""
    import trimesh

    mesh = trimesh.load(made.get("poisson_mesh.ply") or made["mesh.obj"], force="mesh")
    assert isinstance(mesh, trimesh.Trimesh) and len(mesh.faces) > 100 and np.isfinite(mesh.vertices).all()
    visual: Any = mesh.visual
    colours = np.asarray((visual.to_color() if visual.kind == "texture" else visual).vertex_colors)[:, :3]
    assert len(colours) == len(mesh.vertices) and (np.ptp(colours, axis=0) > 20).all()
    black = colours[mesh.faces].max((1, 2)) < 10
    assert mesh.area_faces[black].sum() < 0.02 * mesh.area


def mesh_without_walls(made: dict[str, Path]) -> None:
    """Make sure that a mesh is coloured and, before it is textured, in the object's box."""
    import trimesh

    coloured_mesh(made)
    mesh = trimesh.load(made["tsdf_mesh.ply"])
    assert isinstance(mesh, trimesh.Trimesh) and np.abs(mesh.bounds).max() < 0.5


def coloured_points(made: dict[str, Path]) -> None:
    """Make sure that points have colours and normals."""
    import trimesh

    cloud = trimesh.load(made["point_cloud.ply"])
    assert isinstance(cloud, trimesh.PointCloud) and len(cloud.vertices) > 1000
    assert (np.ptp(np.asarray(cloud.colors)[:, :3], axis=0) > 20).all()


OPENED = {"ns-export poisson": coloured_mesh, "ns-export tsdf": mesh_without_walls, "ns-export pointcloud": coloured_points}
"""What these commands write is opened by another program's library."""


@pytest.fixture
def ask(runs, ffmpeg, tmp_path, monkeypatch) -> Callable[[str, str], list[Path]]:
    """Return what runs a command on one of the runs and returns the files it has written."""

    def run(command: str, which: str) -> list[Path]:
        return COMMANDS[command][0](Asked(runs[which], tmp_path / "out", monkeypatch))

    return run


def test_the_page_and_these_tests_know_the_same_commands():
    assert table().keys() == COMMANDS.keys()


@pytest.mark.parametrize("which", RUNS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_the_page_says(command, which, ask, capsys):
    cell = table()[command][RUNS.index(which)]
    if cell == "works":
        made = {path.name: path for path in ask(command, which)}
        assert made[COMMANDS[command][1]].stat().st_size > 0
        OPENED.get(command, lambda _: None)(made)
        return
    with pytest.raises(SystemExit) as stop:
        ask(command, which)
    last = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2 and last.startswith("nerfsem: error: ") and cell.removeprefix("refused: ") in last
