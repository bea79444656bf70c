"""Programs of benchmarks/study that look into a bundle run from end to end on something small, and find what is put there."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from run_program import smoke
from scipy import ndimage
from tiny_field import opaque_bundle, tiny_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training import align
from nerfsem_method.training.outline import Outline
from nerfsem_method.training.tint import ColorEvidence


def test_oracles_find_what_is_wrong():
    """A picture of known faults is mended by the correction of its kind, and detail that was smoothed away is missed."""
    study = importlib.import_module("benchmarks.study.oracles")
    rows, columns = np.mgrid[:60, :50]
    inside = (rows - 30) ** 2 + (columns - 25) ** 2 < 20**2
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(60, 50, 3)), (2, 2, 0))
    truth = ndimage.gaussian_filter(np.where(inside[..., None], 120 + 300 * texture, 255).clip(0, 255), (1, 1, 0))

    def asked(picture: np.ndarray):
        return study.oracles(np.rint(picture.clip(0, 255)).astype(np.uint8), np.rint(truth).astype(np.uint8), inside)

    found = asked(ndimage.shift(truth, (0.6, -0.4, 0), order=1, mode="nearest"))
    assert found.shift > found.nothing + 5 and found.colour < found.nothing + 2 and found.within > 5
    zoomed = np.array([[0.97, 0, 0, 1], [0, 1.03, 0, -0.6], [0, 0, 1, 0]])
    found = asked(ndimage.affine_transform(truth, zoomed, order=1, mode="nearest"))
    assert found.affine > found.nothing + 4 > found.shift + 2
    found = asked(truth * [0.9, 0.9, 0.8] + [20, 0, 0])
    assert found.colour > found.nothing + 10 and found.colour > found.gain + 3 and found.shift < found.nothing + 1
    found = asked(ndimage.gaussian_filter(truth, (1.5, 1.5, 0)))
    assert found.both < found.nothing + 3 and found.detail < 0.5 and found.outline_error > 2 * found.outline_area
    alpha = (rows - 30) ** 2 + (columns - 25) ** 2 < 19.5**2  # the outline alone is wrong, and to enlarge it hides that
    found = asked(np.where(alpha[..., None], truth, 255))
    assert found.affine > found.nothing + 1 and abs(found.within) < 0.1


def test_oracles(vase_scene, tmp_path):
    bundle = opaque_bundle(background=False)
    width, height = vase_scene.camera.width, vase_scene.camera.height
    camera = Intrinsics(width, height, 1.5 * width, 1.5 * width, width / 2, height / 2)
    video = replace(bundle.video, width=width, height=height, frames=12)
    poses, gains = vase_scene.poses, np.ones((12, 3), np.float32)
    nsem.write(tmp_path / "ball.nsem", replace(bundle, camera=camera, video=video, poses=poses, gains=gains).quantised())
    arguments = ("--scene", vase_scene.root, "--bundle", tmp_path / "ball.nsem", "--every", 6)
    (table,) = smoke("benchmarks.study.oracles", tmp_path, *arguments)
    name, size, nothing, *gained = table.rows[0]
    assert name == f"vase.nerfsem {width}x{height}, ball.nsem" and size == f"{(tmp_path / 'ball.nsem').stat().st_size:,}"
    assert 0 < float(nothing) < 20 and all(float(gain) >= 0 for gain in gained[:5])


def test_oracles_of_another_scene(vase_scene, root, tmp_path):
    other = root / "tests/golden/dense-fp.nsem"
    with pytest.raises(NerfsemError, match="was not made of"):
        smoke("benchmarks.study.oracles", tmp_path, "--scene", vase_scene.root, "--bundle", other)


@pytest.mark.slow
def test_parts(vase_scene, tmp_path, monkeypatch):
    """Two of the five variants are trained; the scene that was given stays as it is."""
    study = importlib.import_module("benchmarks.study.parts")
    monkeypatch.setattr(study, "VARIANTS", {name: study.VARIANTS[name] for name in ("none", "all")})
    before = {path: path.stat().st_mtime_ns for path in vase_scene.root.rglob("*")}
    arguments = ("--scene", vase_scene.root, "--preset", "smoke", "--max-steps", 4, "--output-dir", tmp_path / "parts")
    (table,) = smoke("benchmarks.study.parts", tmp_path, *arguments)
    assert table.rows[0][0] == "vase.nerfsem 90x160, `smoke`, 4 steps"
    (agreed,) = (tmp_path / "parts").glob("*/scene/agreed")
    assert agreed.parts[-3] == "all"
    assert before == {path: path.stat().st_mtime_ns for path in vase_scene.root.rglob("*")}
    sizes = [(tmp_path / f"parts/{name}/relic.nsem").stat().st_size for name in ("none", "all")]
    assert [cell.partition(":")[0] for cell in table.rows[0][1:]] == [f"{size:,}" for size in sizes]


def test_each_part_is_left_out_and_no_bundle_is_made_twice(vase_scene, tmp_path, monkeypatch):
    study = importlib.import_module("benchmarks.study.parts")
    disc = ((torch.arange(60)[:, None] - 30) ** 2 + (torch.arange(60) - 30) ** 2 < 15**2).float()
    colours = torch.rand(99, 3, generator=torch.Generator().manual_seed(0))
    evidence: list = [ColorEvidence.of(colours, colours * gain) for gain in (0.6, 1.0, 1.4)]
    seen = []

    def looked_at(config):
        laid, estimated = len(Outline.of(disc).positions) > 0, align.estimate(evidence, 0.0) is not None
        seen.append((laid, estimated, bool(config.pipeline.model.course.agree_at)))

    monkeypatch.setattr(study, "train", looked_at)
    monkeypatch.setattr(study.checkpoint, "load_config", lambda run: run)
    monkeypatch.setattr(study.checkpoint, "run_bundle", lambda *_: tiny_bundle())
    monkeypatch.setattr(study.gate, "psnr_center", lambda *_: 25.0)
    for _ in range(2):
        arguments = ("--scene", vase_scene.root, "--preset", "smoke", "--output-dir", tmp_path / "parts")
        (table,) = smoke("benchmarks.study.parts", tmp_path, *arguments)
    no, yes = False, True
    assert seen == [(no, no, no), (yes, no, no), (no, yes, no), (no, no, yes), (yes, yes, yes)]
    assert table.columns == ["clip", "none", "outlines", "colours", "agreement", "all"] and len(table.rows[0]) == 6
