"""nerfstudio's viewer shows the frames of an imported bundle, and what is behind them, through each frame's own lens."""

from dataclasses import replace

import numpy as np
import torch
from tiny_field import FRAMES, HEIGHT, WIDTH, opaque_bundle

from nerfsem_method.background.pictures import pictures_of
from nerfsem_method.codec import nsem
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.plugin.backdrop import Backdrop
from nerfsem_method.plugin.previews import previews
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.training.cameras import CameraPath

ZOOMS = np.array([1, 1.5, 1, 0.5] + [1.0] * (FRAMES - 4))


def test_previews_are_seen_through_the_frames_own_lens(tmp_path):
    made = replace(opaque_bundle(background=False), zooms=ZOOMS)
    nsem.write(tmp_path / "relic.nsem", made)
    shown = previews(tmp_path / "relic.nsem").astype(int)
    height, width = shown.shape[1:3]
    player = Player(replace(made, camera=made.camera.scaled(width, height)), "cpu")
    for index in range(4):
        assert np.abs(shown[index] - player.composited(index, WHITE)).max() <= 1


def test_what_is_behind_a_frame_is_its_picture():
    made = replace(opaque_bundle(), zooms=ZOOMS)
    plates = list(pictures_of(made))
    cameras, backdrop = CameraPath(made.camera, made.poses), Backdrop(made)
    for index in (0, 1, 3):
        pose = made.poses[index]
        directions = torch.from_numpy(made.camera_of(index).unit_directions().reshape(-1, 3) @ pose[:, :3]).float()
        origins = torch.from_numpy(camera_centres(pose[None])).float().expand(len(directions), 3)
        seen = backdrop.along(cameras, torch.full((len(directions),), index), origins, directions)
        np.testing.assert_allclose(255 * seen.view(HEIGHT, WIDTH, 3), plates[index], atol=0.1)
