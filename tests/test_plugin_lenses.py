"""Frames of a scene may be taken by another lens: it is stored, and rays, mattes and bundle know it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.codec import nsem
from nerfsem_method.plugin import checkpoint
from nerfsem_method.plugin.config import trainer_config
from nerfsem_method.plugin.datamanager import ObjectRays, ObjectVideoDataset
from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig, world_scale
from nerfsem_method.plugin.runs import import_bundle
from nerfsem_method.plugin.scene_hull import scene_hull
from nerfsem_method.plugin.training import train
from nerfsem_method.scene.hull import carve
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.cameras import CameraPath

ZOOMS = {1: 1.5, 4: 0.7, 6: 1.5, 8: 0.7, 10: 0.7}


def enlarged(picture: Image.Image, zoom: float, middle: tuple[float, float]) -> Image.Image:
    """Return what a lens of `zoom` times the focal length sees; around what the usual one sees, it repeats its rim."""
    values = np.asarray(picture)
    values = np.pad(values, [(picture.height,) * 2, (picture.width,) * 2, (0, 0)][: values.ndim], "edge")
    terms = [(1 / zoom, 0.0, centre + side - centre / zoom) for centre, side in zip(middle, picture.size, strict=True)]
    (across, _, left), (down, _, top) = terms
    return Image.fromarray(values).transform(
        picture.size, Image.Transform.AFFINE, (across, 0, left, 0, down, top), Image.Resampling.BICUBIC
    )


@pytest.fixture(scope="module")
def scene(vase_scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return the vase's scene with some frames by other lenses."""
    root, frames = tmp_path_factory.mktemp("lenses") / "vase.nerfsem", []
    for frame in vase_scene.frames:
        zoom = ZOOMS.get(frame.index, 1.0)
        for name in (frame.image, frame.matte):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            with Image.open(vase_scene.root / name) as picture:
                enlarged(picture, zoom, (vase_scene.camera.cx, vase_scene.camera.cy)).save(root / name)
        frames.append(replace(frame, zoom=zoom))
    made = replace(vase_scene, root=root, frames=tuple(frames))
    made.save()
    return Scene.load(root)


def parse(scene: Scene):
    return ObjectVideoDataParserConfig(data=scene.root).setup().get_dataparser_outputs("train")


def test_a_scene_keeps_its_zooms_and_older_ones_have_none(scene: Scene, vase_copy: Scene) -> None:
    assert scene.zooms is not None
    assert {index: zoom for index, zoom in enumerate(scene.zooms) if zoom != 1} == ZOOMS
    path = vase_copy.root / "scene.json"
    data = json.loads(path.read_text())
    for frame in data["frames"]:
        del frame["zoom"]
    path.write_text(json.dumps(data))
    assert Scene.load(vase_copy.root).zooms is None


def test_the_hull_is_that_of_one_lens(scene: Scene, vase_scene: Scene) -> None:
    blind = replace(scene, frames=tuple(replace(frame, zoom=1.0) for frame in scene.frames))
    hulls = [carve(each.cameras, mattes_of(scene), 64, np.zeros(3), 1.0) for each in (scene, blind)]
    true = carve(vase_scene.cameras, mattes_of(vase_scene), 64, np.zeros(3), 1.0)
    ours, theirs = ((hull ^ true).sum() / true.sum() for hull in hulls)
    assert 3 * ours < theirs
    np.testing.assert_array_equal(scene_hull(scene, 64), hulls[0])


def mattes_of(scene: Scene) -> np.ndarray:
    return np.stack([np.asarray(Image.open(scene.root / frame.matte)) for frame in scene.frames])


def test_nerfstudio_s_rays_are_those_of_the_training(scene: Scene) -> None:
    outputs = parse(scene)
    pixels, frames = torch.tensor([[3.5, 8.5], [60.5, 100.5]]), torch.tensor([6, 2])
    origins, directions = CameraPath(scene.camera, scene.poses, zooms=scene.zooms).rays(frames, pixels)
    theirs = outputs.cameras.generate_rays(frames[:, None], coords=pixels.flip(1))
    np.testing.assert_allclose(theirs.origins / world_scale(scene) + 0.5, origins, atol=1e-5)
    np.testing.assert_allclose(theirs.directions, directions, atol=1e-5)
    for frame, pixel, origin, direction in zip(frames.tolist(), pixels, origins, directions, strict=True):
        seen, _ = scene.cameras.project((origin + 0.7 * direction).numpy(), frame)
        np.testing.assert_allclose(seen, pixel, atol=1e-3)
    rays = ObjectRays(ObjectVideoDataset(outputs), "cpu")
    drawn = torch.tensor([[6, 8, 3], [2, 100, 60]])
    bundle = rays.bundle(drawn)
    torch.testing.assert_close(bundle.directions, directions, atol=1e-5, rtol=0)
    np.testing.assert_allclose(bundle.pixel_area[0] * 1.5**2, bundle.pixel_area[1], rtol=1e-5)


def test_the_box_of_a_frame_is_as_large_as_its_lens_shows_it(scene: Scene, vase_scene: Scene) -> None:
    """Outside of a training, rays are drawn through the cube's box in each frame."""
    ours, usual = (ObjectRays(ObjectVideoDataset(parse(each)), "cpu") for each in (scene, vase_scene))
    height = [np.ptp(rays._box(10)[:, 0]) for rays in (ours, usual)]
    assert height[0] < 0.9 * height[1]


def test_a_bundle_holds_the_zooms_of_its_training_and_so_does_one_exported_again(scene: Scene, tmp_path: Path) -> None:
    config = trainer_config("smoke")
    config.data = config.pipeline.datamanager.data = scene.root
    config.output_dir, config.max_num_iterations = tmp_path / "outputs", 30
    made = checkpoint.export(train(config), tmp_path, "fp", BackgroundOptions())
    bundle = nsem.read(made)
    assert bundle.zooms is not None and scene.zooms is not None
    np.testing.assert_allclose(bundle.zooms, scene.zooms, atol=1e-4)
    again = checkpoint.export(import_bundle(made, tmp_path / "imported"), tmp_path / "again", "fp", BackgroundOptions())
    np.testing.assert_array_equal(nsem.read(again).zooms, bundle.zooms)
