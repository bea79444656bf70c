"""The data manager draws pixels near the object, and seed and step alone decide which."""

from pathlib import Path

import numpy as np
import pytest
import torch
from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManager
from PIL import Image
from tiny_field import opaque_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.errors import CaptureError
from nerfsem_method.plugin.datamanager import BORDER, NerfsemDataManagerConfig
from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig
from nerfsem_method.training.cameras import CameraPath


def manage(data: Path, test_mode="val", seed=42, **options):
    torch.manual_seed(seed)
    parser = ObjectVideoDataParserConfig(**options)
    config = NerfsemDataManagerConfig(data=data, dataparser=parser, train_num_rays_per_batch=512)
    return config.setup(test_mode=test_mode)


@pytest.fixture(scope="module")
def manager(vase_scene):
    return manage(vase_scene.root)


def test_frames_are_kept_in_eight_bits_with_their_mattes(manager, vase_scene):
    frames = manager.frames_rgba
    assert frames.dtype == torch.uint8 and frames.shape == (12, 160, 90, 4)
    with Image.open(vase_scene.root / "mattes/000005.png") as matte:
        assert np.array_equal(frames[5, ..., 3], np.asarray(matte))


def test_rays_go_through_the_object_and_a_border_only(manager):
    bundle, batch = manager.next_train(0)
    alpha = manager.frames_rgba[..., 3]
    for frame, row, column in batch["indices"].tolist():
        near = alpha[frame, max(0, row - BORDER) : row + BORDER + 1, max(0, column - BORDER) : column + BORDER + 1]
        assert near.max() > 0
    assert (batch["image"][:, 3] == 0).any() and (batch["image"][:, 3] == 1).any()


def test_fewer_rays_are_the_first_of_them(vase_scene, manager):
    fewer = manage(vase_scene.root)
    fewer.rays = 100
    (bundle, batch), (_, whole) = fewer.next_train(7), manager.next_train(7)
    assert len(bundle) == 100 and len(whole["image"]) == 512
    assert torch.equal(batch["indices"], whole["indices"][:100])


def test_the_share_is_that_of_the_pixels_near_the_object(manager):
    alpha = manager.frames_rgba[..., 3].numpy() > 0
    inside = alpha.mean()
    assert inside < manager.candidate_share < 2 * inside


def test_every_near_pixel_can_be_drawn(manager):
    drawn = torch.cat([manager.next_train(step)[1]["indices"] for step in range(200)])
    assert set(drawn[:, 0].tolist()) == set(range(12))
    unique = len(torch.unique(drawn, dim=0)) / (manager.candidate_share * manager.frames_rgba[..., 0].numel())
    expected = 1 - np.exp(-len(drawn) / (manager.candidate_share * manager.frames_rgba[..., 0].numel()))
    assert unique == pytest.approx(expected, rel=0.02)


def test_a_batch_holds_the_colours_and_directions_of_its_pixels(manager, vase_scene):
    bundle, batch = manager.next_train(3)
    frame, row, column = batch["indices"].T
    assert torch.equal(batch["image"], manager.frames_rgba[frame, row, column].float() / 255)
    pixels = torch.stack([column, row], -1) + 0.5
    camera = CameraPath(vase_scene.camera, vase_scene.poses)
    torch.testing.assert_close(bundle.metadata["viewing"], camera.viewing(frame, pixels).float())
    assert torch.equal(bundle.camera_indices[:, 0], frame)


def test_its_rays_are_those_of_nerfstudio(manager):
    bundle, batch = manager.next_train(1)
    frame, row, column = batch["indices"].T
    theirs = manager.train_dataset.cameras.generate_rays(frame[:, None], coords=torch.stack([row, column], -1) + 0.5)
    torch.testing.assert_close(bundle.origins, theirs.origins, atol=1e-5, rtol=0)
    torch.testing.assert_close(bundle.directions, theirs.directions, atol=1e-4, rtol=0)


def test_a_step_is_the_same_after_a_resume_and_differs_by_seed(manager, vase_scene):
    again, other = manage(vase_scene.root), manage(vase_scene.root, seed=43)
    again.next_train(0)
    torch.manual_seed(42)
    first = manager.next_train(9)[1]["indices"]
    assert torch.equal(first, again.next_train(9)[1]["indices"])
    assert not torch.equal(first, manager.next_train(10)[1]["indices"])
    torch.manual_seed(43)
    assert not torch.equal(first, other.next_train(9)[1]["indices"])


def test_held_out_frames_keep_their_place_in_the_scene(vase_scene):
    manager = manage(vase_scene.root, holdout_every=3)
    train = set(manager.next_train(0)[0].camera_indices[:, 0].tolist())
    held = set(manager.next_eval(0)[0].camera_indices[:, 0].tolist())
    assert train == {0, 2, 3, 5, 6, 8, 9, 11} and held == {1, 4, 7, 10}


def test_nerfstudio_finds_what_it_asks_of_a_data_manager(manager, vase_scene):
    assert isinstance(manager, VanillaDataManager)  # ns-render and ns-export ask for it
    assert manager.get_datapath() == vase_scene.root
    assert manager.get_param_groups() == {} and not list(manager.state_dict())
    assert manager.get_train_rays_per_batch() == 512
    camera, batch = next(iter(manager.fixed_indices_eval_dataloader))
    assert camera.shape == (1,) and batch["image"].shape == (160, 90, 4)
    assert manager.next_eval_image(0)[1]["image"].shape == (160, 90, 4)
    assert manager.train_dataset[0]["image"].shape == (160, 90, 4)


def test_viewing_a_run_reads_no_frames(vase_copy):
    for picture in (vase_copy.root / "frames").iterdir():
        picture.unlink()
    for mode in ("test", "inference"):
        assert len(manage(vase_copy.root, mode).train_dataset) == 12
    with pytest.raises(CaptureError, match="capture again"):
        manage(vase_copy.root, "val")


def test_empty_mattes_are_refused(vase_copy):
    for matte in (vase_copy.root / "mattes").iterdir():
        Image.new("L", (90, 160)).save(matte)
    with pytest.raises(CaptureError, match="no object"):
        manage(vase_copy.root)


def test_a_frame_of_another_size_is_refused(vase_copy):
    for folder in ("frames", "mattes"):
        Image.new("RGB" if folder == "frames" else "L", (20, 20)).save(vase_copy.root / folder / "000002.png")
    with pytest.raises(CaptureError, match="another size"):
        manage(vase_copy.root)


def test_another_parser_and_a_bundle_to_train_on_are_refused_in_a_line(vase_scene, tmp_path):
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

    with pytest.raises(CaptureError, match="nerfsem-data"):
        NerfsemDataManagerConfig(data=vase_scene.root, dataparser=NerfstudioDataParserConfig()).setup(test_mode="val")
    nsem.write(tmp_path / "relic.nsem", opaque_bundle(background=False))
    with pytest.raises(CaptureError, match="nerfsem import"):
        manage(tmp_path / "relic.nsem")


def test_ns_render_may_ask_for_smaller_frames(vase_scene):
    smaller = manage(vase_scene.root, test_mode="test", downscale_factor=2.0).train_dataset
    assert smaller[0]["image"].shape == (80, 45, 4)
    assert int(smaller.cameras.width[0]) == 45 and float(smaller.cameras.fx[0]) == pytest.approx(vase_scene.camera.fx / 2)
    whole = manage(vase_scene.root, test_mode="test").train_dataset[0]["image"]
    averaged = whole.view(80, 2, 45, 2, 4).mean((1, 3))
    assert (smaller[0]["image"] - averaged).abs().max() < 0.02
