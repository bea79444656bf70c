"""These tests say what a finished bundle must show before success is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tiny_field import opaque_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.evaluation import gate
from nerfsem_method.media.pictures import write_picture
from nerfsem_method.playback.player import Player
from nerfsem_method.scene.scene import Frame, Scene


def scene_of(folder: Path, bundle: nsem.Bundle, wrong: bool) -> Scene:
    """Write a scene whose frames are what the bundle shows, or stripes that it does not show."""
    player = Player(bundle, "cpu")
    frames = []
    (folder / "frames").mkdir()
    (folder / "mattes").mkdir()
    for index, pose in enumerate(bundle.poses):
        picture = player.composited(index, (255, 255, 255))
        if wrong:
            picture = 255 - picture
        name = f"{index:06d}.png"
        write_picture(folder / "frames" / name, picture[..., ::-1].astype(np.uint8))
        write_picture(folder / "mattes" / name, np.full(picture.shape[:2], 255, np.uint8))
        frames.append(Frame(index, pose, "registered", f"frames/{name}", f"mattes/{name}"))
    return Scene(folder, bundle.video, bundle.camera, tuple(frames))


@pytest.fixture
def bundle() -> nsem.Bundle:
    return nsem.decode(nsem.encode(opaque_bundle(background=False)))


def test_a_file_that_shows_its_object_passes_and_the_figures_are_kept(tmp_path: Path, bundle: nsem.Bundle) -> None:
    told: list[str] = []
    target = tmp_path / "relic.nsem"
    nsem.write(target, bundle)
    gate.check(scene_of(tmp_path, bundle, wrong=False), target, told.append)
    record = json.loads((tmp_path / gate.RECORD).read_text())
    assert record["psnr_center"] > 40 and record["frames"] == len(bundle.poses)
    assert "PSNR-CENTER" in told[0]


def test_a_file_that_shows_something_else_is_no_success_and_stays(tmp_path: Path, bundle: nsem.Bundle) -> None:
    target = tmp_path / "relic.nsem"
    nsem.write(target, bundle)
    scene = scene_of(tmp_path, bundle, wrong=True)
    with pytest.raises(NerfsemError, match="no picture of the object: PSNR-CENTER .*worst: frames"):
        gate.check(scene, target, lambda line: None)
    assert target.exists()


def test_mattes_that_show_nothing_are_told(tmp_path: Path, bundle: nsem.Bundle) -> None:
    target = tmp_path / "relic.nsem"
    nsem.write(target, bundle)
    scene = scene_of(tmp_path, bundle, wrong=False)
    for path in (tmp_path / "mattes").iterdir():
        write_picture(path, np.zeros((bundle.video.height, bundle.video.width), np.uint8))
    with pytest.raises(NerfsemError, match="no matte shows an object"):
        gate.check(scene, target, lambda line: None)


def test_frames_left_out_are_named_by_the_bundle(bundle: nsem.Bundle) -> None:
    with_gaps = dataclasses.replace(bundle, video=dataclasses.replace(bundle.video, left_out=(0, 7, 8)))
    data = nsem.encode(with_gaps)
    assert nsem.decode(data).video.left_out == (0, 7, 8)
    assert len(data) - len(nsem.encode(bundle)) < 40
