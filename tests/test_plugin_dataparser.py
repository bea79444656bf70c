"""The data parser splits the frames, turns cameras into nerfstudio's, and names bad input."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nerfsem_method.errors import CaptureError
from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig, cameras_of, split_frames, world_scale
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.cameras import CameraPath


def parse(data, split="train", **options):
    return ObjectVideoDataParserConfig(data=Path(data), **options).setup().get_dataparser_outputs(split)


def test_nerfstudio_rays_hit_the_pixel_that_opencv_projects_to(vase_scene):
    outputs = parse(vase_scene.root)
    rays = outputs.cameras.generate_rays(torch.tensor([[7]]), coords=torch.tensor([[100.5, 30.5]]))  # row, column
    point = rays.origins[0].numpy() + 2.0 * rays.directions[0].numpy()
    point = point.astype(float) / world_scale(vase_scene) + 0.5
    pixel, depth = vase_scene.camera.project(point, vase_scene.poses[7])
    assert depth > 0
    np.testing.assert_allclose(pixel, (30.5, 100.5), atol=2e-2)


def test_distortion_reaches_nerfstudio_in_its_own_order(vase_scene):
    bent = Intrinsics(90, 160, 187, 187, 45, 80, k1=-0.2, k2=0.05, p1=0.01, p2=-0.02)
    scene = type(vase_scene)(vase_scene.root, vase_scene.video, bent, vase_scene.frames)
    cameras = cameras_of(scene, scene.frames)
    rays = cameras.generate_rays(torch.tensor([[0]]), coords=torch.tensor([[20.0, 11.0]]))
    point = rays.origins[0].numpy() + rays.directions[0].numpy()
    pixel, _ = bent.project(point.astype(float) / world_scale(scene) + 0.5, scene.poses[0])
    np.testing.assert_allclose(pixel, (11.0, 20.0), atol=2e-2)


def test_the_cameras_surround_the_object_and_look_at_it(vase_scene):
    outputs = parse(vase_scene.root)
    distances = outputs.cameras.camera_to_worlds[:, :, 3].norm(dim=1)
    assert distances.max() == pytest.approx(1) and distances.min() > outputs.scene_box.aabb.max()
    np.testing.assert_allclose(outputs.scene_box.aabb[0], -outputs.scene_box.aabb[1])
    pixels, depths = vase_scene.camera.project(np.array([0.5, 0.5, 0.5]), vase_scene.poses[3])
    assert depths > 0 and (np.abs(pixels - (45, 80)) < 27).all()


def test_nerfstudio_s_rays_are_those_of_the_capture_moved_and_scaled(vase_scene):
    pixels = torch.tensor([[3.5, 8.5], [60.5, 100.5]])
    origins, directions = CameraPath(vase_scene.camera, vase_scene.poses).rays(torch.tensor([5, 5]), pixels)
    rays = parse(vase_scene.root).cameras.generate_rays(torch.tensor([[5], [5]]), coords=pixels.flip(1))
    np.testing.assert_allclose(rays.origins / world_scale(vase_scene) + 0.5, origins, atol=1e-5)
    np.testing.assert_allclose(rays.directions, directions, atol=1e-5)


def test_training_uses_every_frame_and_evaluation_reads_some_of_them(vase_scene):
    train, test = (split_frames(vase_scene, split, 0) for split in ("train", "test"))
    assert [frame.index for frame in train] == list(range(12))
    assert 0 < len(test) <= 10 and set(f.index for f in test) <= set(range(12))


@pytest.mark.parametrize("every", [2, 3, 5])
def test_held_out_frames_are_not_trained_on(vase_scene, every):
    train, test = (split_frames(vase_scene, split, every) for split in ("train", "test"))
    assert not {f.index for f in train} & {f.index for f in test}
    assert len(train) + len(test) == 12 and len(test) == len(range(every // 2, 12, every))


def test_a_split_tells_which_frames_of_the_scene_it_holds(vase_scene):
    outputs = parse(vase_scene.root, "test", holdout_every=4)
    frames = outputs.cameras.metadata["frame"][:, 0].tolist()
    assert frames == [2, 6, 10]
    assert [path.name for path in outputs.image_filenames] == ["000002.png", "000006.png", "000010.png"]
    assert len(outputs.metadata["scene"].frames) == 12


@pytest.mark.parametrize(
    ("data", "message"), [("", "--data relic.mp4"), ("no/such.mp4", "does not exist"), (".", "holds no photographs")]
)
def test_bad_data_is_named(data, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaptureError, match=message):
        parse(data if data != "." else tmp_path)


def test_a_holdout_of_everything_is_refused(vase_scene):
    with pytest.raises(CaptureError, match="nothing to train on"):
        parse(vase_scene.root, holdout_every=1)
