"""What nerfstudio sees of a field: true depths, normals, crops, exposures, and the cameras that a training has refined."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.model_components.renderers import background_color_override_context
from nerfstudio.utils.eval_utils import eval_setup
from test_plugin_training import smoke
from tiny_field import HEIGHT, WIDTH, opaque_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.playback.player import Player
from nerfsem_method.plugin import views
from nerfsem_method.plugin.runs import import_bundle
from nerfsem_method.plugin.training import train
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField

SCALE = 0.4
"""A unit of the capture is so long in this world of nerfstudio's."""
SURFACE = 2.2 - 0.4
"""The cameras are 2.2 away from the middle of a ball of radius 0.4."""


def loaded(config: Path, mode: Literal["test", "inference"]) -> Any:
    """Return the run's pipeline as nerfstudio loads it."""
    return eval_setup(config, test_mode=mode)[1]


@pytest.fixture(scope="module")
def field():
    return RadianceField.from_state(opaque_bundle(background=False).state).eval()


@pytest.fixture
def cameras():
    made = opaque_bundle(background=False)
    return CameraPath(made.camera, made.poses, made.gains)


def rays_of(cameras: CameraPath, frame: int, **changes) -> RayBundle:
    """Return rays of nerfstudio's through all pixels of a frame."""
    pixels = cameras.frame_pixels()
    origins, directions = cameras.rays(torch.full((len(pixels),), frame), pixels)
    made = RayBundle((origins - 0.5) * SCALE, directions, torch.ones(len(pixels), 1), metadata={})
    return replace(made, **changes)


def middle(values):
    """Return the values around the middle of a frame."""
    return values.view(HEIGHT, WIDTH, -1)[HEIGHT // 2 - 1 : HEIGHT // 2 + 2, WIDTH // 2 - 1 : WIDTH // 2 + 2]


def test_depth_is_the_surface_and_what_is_empty_is_behind_all(field, cameras):
    seen = views.look(field, cameras, SCALE, rays_of(cameras, 0))
    assert (middle(seen["depth"]) / SCALE - SURFACE).abs().max() < 0.1
    empty = seen["accumulation"] == 0
    assert empty.any() and (seen["depth"][empty] > 2.2 * SCALE + 1).all()


def test_half_transparent_edges_have_depths_of_the_surface_or_none(field, cameras):
    """A premultiplied depth would float between object and camera."""
    depth = views.look(field, cameras, SCALE, rays_of(cameras, 0))["depth"] / SCALE
    assert ((depth > SURFACE - 0.1) & (depth < 2.2 + 0.5) | (depth > 2.2 + 1)).all()


def test_normals_point_to_the_camera_that_sees_them(field, cameras):
    rays = rays_of(cameras, 2)
    normals = 2 * views.look(field, cameras, SCALE, rays)["normals"] - 1
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(len(normals)), atol=1e-4, rtol=0)
    facing = middle(-(normals * rays.directions).sum(1))
    assert facing.mean() > 0.8


def test_a_crop_shows_only_what_lies_between_near_and_far(field, cameras):
    rays = rays_of(cameras, 1)
    near, far = torch.zeros_like(rays.pixel_area), torch.full_like(rays.pixel_area, 2.2 * SCALE)
    before = views.look(field, cameras, SCALE, replace(rays, nears=near, fars=0.7 * far))
    assert not before["accumulation"].any() and (before["rgb"] == 1).all()
    whole = views.look(field, cameras, SCALE, replace(rays, nears=near, fars=2 * far))
    torch.testing.assert_close(whole["rgb"], views.look(field, cameras, SCALE, rays)["rgb"])
    behind = views.look(field, cameras, SCALE, replace(rays, nears=far, fars=2 * far))
    assert (middle(behind["depth"]) > 2.2 * SCALE).all()


def test_the_ground_is_the_one_that_is_asked_for(field, cameras):
    with background_color_override_context(torch.tensor([1.0, 0.0, 0.0])):
        seen = views.look(field, cameras, SCALE, rays_of(cameras, 0))
    empty = seen["accumulation"][:, 0] == 0
    assert (seen["rgb"][empty] == torch.tensor([1.0, 0.0, 0.0])).all()


def test_a_frame_has_its_exposure_and_views_between_frames_a_mean(field, cameras):
    plain = views.look(field, cameras, SCALE, rays_of(cameras, 3))["prediction"].color
    cameras.gains[3] = 0.5
    rays = rays_of(cameras, 3)
    named = replace(rays, origins=rays.origins + 0.01, metadata={"frame": torch.full((len(rays), 1), 3)})
    torch.testing.assert_close(views.look(field, cameras, SCALE, rays)["prediction"].color, 0.5 * plain, atol=1e-3, rtol=0)
    other = views.look(field, cameras, SCALE, replace(named, metadata={"frame": torch.full((len(rays), 1), 4)}))
    assert other["prediction"].color.sum() > 1.9 * views.look(field, cameras, SCALE, named)["prediction"].color.sum()
    between = views.colors_around(cameras, torch.from_numpy(camera_centres(cameras.poses.numpy())[3:5].mean(0)).float()[None])
    assert 0.6 < between[0, 0, 0] < 0.9


def test_straight_colours_come_back_from_white():
    color, alpha = torch.rand(50, 3), torch.rand(50, 1) * 0.9 + 0.1
    rgba = views.straight(color * alpha + 1 - alpha, alpha)
    torch.testing.assert_close(rgba, torch.cat([color, alpha], 1), atol=1e-5, rtol=0)


def test_what_a_picture_does_not_see_has_the_colour_of_what_is_nearest():
    """Textures and depth fusion take colours without their alpha; straight, nothing would be black."""
    color, alpha = torch.zeros(4, 6, 3), torch.zeros(4, 6, 1)
    color[:, 0], color[:, 5], alpha[:, 0], alpha[:, 5] = 0.25, 0.75, 1, 0.5
    rgba = views.straight(color * alpha + 1 - alpha, alpha)
    torch.testing.assert_close(rgba[..., 3:], alpha)
    torch.testing.assert_close(rgba[..., 0], torch.tensor([0.25, 0.25, 0.25, 0.75, 0.75, 0.75]).expand(4, 6))


def test_rays_that_are_none_miss(field, cameras):
    rays = rays_of(cameras, 0)
    directions, origins = rays.directions.clone(), rays.origins.clone()
    directions[:100], directions[100:200], origins[200:300] = 0, torch.nan, torch.inf
    seen = views.look(field, cameras, SCALE, replace(rays, origins=origins, directions=directions))
    assert not seen["accumulation"][:300].any() and seen["accumulation"][300:].any()
    assert all(seen[key].isfinite().all() for key in ("rgb", "accumulation", "normals"))


def test_an_imported_pc_bundle_shows_the_whole_frame(tmp_path):
    nsem.write(tmp_path / "relic.nsem", opaque_bundle())
    pipeline = loaded(import_bundle(tmp_path / "relic.nsem", tmp_path / "run"), "inference")
    camera = pipeline.datamanager.train_dataset.cameras[3:4]
    expected = list(Player(nsem.read(tmp_path / "relic.nsem"), "cpu").frames("pc"))
    shown = pipeline.model.get_outputs_for_camera(camera)["pc"].clamp(0, 1).numpy() * 255
    assert np.abs(shown - expected[3]).mean() < 1 < np.abs(shown - expected[5]).mean()
    camera.metadata = None  # a free camera at the same place
    free = pipeline.model.get_outputs_for_camera(camera)["pc"].clamp(0, 1).numpy() * 255
    assert np.abs(free - expected[3]).mean() < 1
    assert "pc" not in views.look(pipeline.model.field, pipeline.model.cameras, 1.0, rays_of(pipeline.model.cameras, 0))


@pytest.fixture(scope="module")
def refined(vase_scene, tmp_path_factory):
    """Return a run's config.yml, and the poses that its training has arrived at."""
    config = train(smoke(vase_scene, tmp_path_factory.mktemp("refined"), timestamp="run", max_num_iterations=40))
    (kept,) = (config.parent / "nerfstudio_models").iterdir()
    return config, torch.load(kept, weights_only=True)["pipeline"]["_model.cameras.poses"].numpy()


def test_a_loaded_run_has_the_cameras_that_its_training_has_refined(refined, vase_scene):
    config, poses = refined
    datamanager = loaded(config, "test").datamanager
    scale = datamanager.train_dataparser_outputs.dataparser_scale
    for dataset in (datamanager.train_dataset, datamanager.eval_dataset):
        wanted = (camera_centres(poses) - 0.5)[dataset.frame_indices] * scale
        np.testing.assert_allclose(dataset.cameras.camera_to_worlds[:, :, 3], wanted, atol=1e-6)
        assert np.abs(wanted - (camera_centres(vase_scene.poses) - 0.5)[dataset.frame_indices] * scale).max() > 1e-5
    rays, batch = datamanager.next_train(0)
    np.testing.assert_allclose(rays.origins, ((camera_centres(poses) - 0.5) * scale)[rays.camera_indices[:, 0]], atol=1e-6)
    second = datamanager.config.setup(test_mode="test")  # as ns-render dataset makes one
    torch.testing.assert_close(second.train_dataset.cameras.camera_to_worlds, datamanager.train_dataset.cameras.camera_to_worlds)


def test_exports_get_other_rays_at_each_call(refined):
    datamanager = loaded(refined[0], "test").datamanager
    datamanager.train_pixel_sampler.num_rays_per_batch = 99
    first, second = (datamanager.next_train(0)[1]["indices"] for _ in range(2))
    assert len(first) == 99 and not torch.equal(first, second)


def test_torch_keeps_to_one_thread_wherever_a_run_is_loaded(refined):
    torch.set_num_threads(2)
    loaded(refined[0], "inference")
    assert torch.get_num_threads() == 1


def test_an_imported_bundle_shows_its_own_frames_and_draws_rays_at_its_object(tmp_path):
    nsem.write(tmp_path / "relic.nsem", opaque_bundle())
    pipeline = loaded(import_bundle(tmp_path / "relic.nsem", tmp_path / "run"), "test")
    dataset = pipeline.datamanager.train_dataset
    picture = dataset[3]["image"]
    assert picture.shape == (100, round(100 * WIDTH / HEIGHT), 4) and len({path.name for path in dataset.image_filenames}) == 8
    corner, center = picture[2, 2, :3], picture[50, 38, :3]
    assert (corner - center).abs().max() > 0.1 and corner.min() < 0.9  # the object before its background
    rays, batch = pipeline.datamanager.next_train(0)
    assert (pipeline.model(rays)["accumulation"] > 0.5).float().mean() > 0.3
    assert batch["indices"].max(0).values[1] < HEIGHT and batch["indices"].max(0).values[2] < WIDTH
