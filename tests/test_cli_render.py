"""Stills, turns and paths of a bundle's object come in the formats asked for, at any size, seen from where they should be."""

import json
import math
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from tiny_field import FRAMES, HEIGHT, WIDTH, opaque_bundle

from nerfsem_method.cli.render import Render, parse_size
from nerfsem_method.codec import nsem
from nerfsem_method.errors import NerfsemError
from nerfsem_method.playback import viewpoint
from nerfsem_method.playback.player import Player
from nerfsem_method.scene.camera import camera_centres, ring_radius


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("render") / "relic.nsem"
    nsem.write(path, opaque_bundle())
    return path


@pytest.fixture(scope="module")
def made(bundle):
    return nsem.read(bundle)


def test_a_frames_view_is_the_frame(bundle, made, tmp_path):
    Render(bundle, tmp_path / "f.png", frame=3).run()
    shown = np.asarray(Image.open(tmp_path / "f.png"))
    assert np.array_equal(shown, Player(made, "cpu").composited(3, (255, 255, 255)))


def test_another_size_shows_all_of_it_and_stretches_nothing(bundle, made, tmp_path):
    Render(bundle, tmp_path / "f.png", frame=3, size=f"{4 * WIDTH}:{2 * HEIGHT}", background_color="transparent").run()
    alpha = np.asarray(Image.open(tmp_path / "f.png"))[..., 3]
    assert alpha.shape == (2 * HEIGHT, 4 * WIDTH)
    twice = np.asarray(Image.fromarray(Player(made, "cpu").frame(3)[..., 3]).resize((2 * WIDTH, 2 * HEIGHT)), float)
    errors = [np.abs(np.roll(alpha[:, WIDTH:-WIDTH], shift, 1) - twice).mean() for shift in (-2, 0, 2)]
    assert errors[1] < 0.7 * min(errors[0], errors[2]) and not alpha[:, : WIDTH // 2].any()


def test_a_turn_goes_around_as_the_clip_does(made):
    tour = viewpoint.orbit(made, 36, 12.0, 10.0, 1.5, (20, 30))
    centres = camera_centres(np.stack([view.pose for view in tour.viewpoints])) - 0.5
    clip = camera_centres(made.poses) - 0.5
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1.5 * np.median(np.linalg.norm(clip, axis=1)))
    np.testing.assert_allclose(centres[:, 2] / np.linalg.norm(centres, axis=1), np.sin(np.radians(10)))
    turns = [np.diff(np.unwrap(np.arctan2(c[:, 1], c[:, 0]))) for c in (centres, clip)]
    assert np.sign(turns[0].mean()) == np.sign(turns[1].mean()) and turns[0] == pytest.approx(turns[0][0])
    middle = [view.camera.project(np.full(3, 0.5), view.pose)[0] for view in tour.viewpoints]
    np.testing.assert_allclose(middle, np.tile((10, 15), (36, 1)), atol=1e-9)


def test_the_exposure_is_that_of_the_frames_around(made):
    gains = made.gains.copy()
    gains[2] = 0.5
    dimmed = nsem.Bundle(made.state, made.video, made.camera, made.poses, gains)
    np.testing.assert_allclose(viewpoint.colors_around(dimmed, made.poses[2]), 0.5 * np.eye(3, 4), atol=1e-3)
    np.testing.assert_allclose(viewpoint.colors_around(dimmed, made.poses[6]), np.eye(3, 4), atol=1e-3)


def saved_path(made, **changes):
    """Return a path as nerfstudio's viewer saves it: one camera where frame 5 was taken, in nerfstudio's world."""
    pose = made.poses[5]
    matrix = np.eye(4)
    matrix[:3, :3] = pose[:, :3].T @ np.diag([1.0, -1.0, -1.0])
    matrix[:3, 3] = (camera_centres(pose[None])[0] - 0.5) / ring_radius(made.poses)
    fov = 2 * np.degrees(np.arctan(HEIGHT / 2 / made.camera.fy))
    view = {"camera_to_world": matrix.ravel().tolist(), "fov": fov, "aspect": WIDTH / HEIGHT}
    facts = {"camera_type": "perspective", "render_width": WIDTH, "render_height": HEIGHT, "seconds": 0.5}
    return {**facts, "camera_path": [view, view], **changes}


def test_a_path_of_nerfstudio_is_followed(bundle, made, tmp_path):
    (tmp_path / "path.json").write_text(json.dumps(saved_path(made)))
    Render(bundle, tmp_path / "frames", path=tmp_path / "path.json").run()
    shown = np.asarray(Image.open(tmp_path / "frames/000001.png")).astype(int)
    assert np.abs(shown - Player(made, "cpu").composited(5, (255, 255, 255))).max() <= 2
    assert viewpoint.from_nerfstudio(made, tmp_path / "path.json", (10, 12)).rate == 4


@pytest.mark.parametrize("ending, pixels", [("mp4", "yuv420p"), ("webm", "yuv420p"), ("mov", "yuv422p10le")])
def test_a_turn_is_a_video(bundle, tmp_path, ending, pixels, capsys):
    Render(bundle, tmp_path / f"turn.{ending}", size="36:24", seconds=0.5, rate=8, background_color="#112233").run()
    assert "4 frames, 36 x 24" in capsys.readouterr().out
    assert pixels in stream_of(tmp_path / f"turn.{ending}")


@pytest.mark.parametrize("ending", ["webm", "mov"])
def test_transparency_is_kept(bundle, made, tmp_path, ending):
    path = tmp_path / f"turn.{ending}"
    Render(bundle, path, frame=0, background_color="transparent", size=f"{WIDTH}:{HEIGHT + 1}").run()
    decoder = ["-c:v", "libvpx-vp9"] if ending == "webm" else []
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *decoder, "-i", path, "-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    rgba = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8)
    alpha = rgba.reshape(HEIGHT + 1, WIDTH, 4)[..., 3]
    assert alpha[HEIGHT // 2, WIDTH // 2] > 240 and alpha[0, 0] < 10


@pytest.mark.parametrize("ending", ["png", "webm", "mov", "mp4"])
def test_a_rendering_replaces_one_of_ours_alone(bundle, tmp_path, ending):
    path = tmp_path / f"view.{ending}"
    for _ in range(2):
        Render(bundle, path, frame=0).run()
    path.write_bytes(path.read_bytes() + b"edited") if ending != "png" else path.write_bytes(b"theirs")
    with pytest.raises(NerfsemError, match="name another file"):
        Render(bundle, path, frame=0).run()


def stream_of(path):
    """Return what ffmpeg says of a video."""
    told = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", path], capture_output=True, text=True).stderr
    return next(line for line in told.splitlines() if "Video:" in line)


@pytest.mark.parametrize("output, options, words", [
    ("x.gif", {}, "none of"),
    ("x.mp4", {"background_color": "transparent"}, "transparent"),
    ("x.png", {"size": "0:5"}, "--size"),
    ("x.png", {"size": "big"}, "--size"),
    ("x.png", {"frame": FRAMES}, "frames 0 to 7"),
    ("x.png", {"distance": 0.0}, "more than 0"),
    ("x.mp4", {"seconds": math.nan}, "finite"),
    ("x.mp4", {"distance": math.inf}, "finite"),
    ("x.png", {"distance": 1e6}, "a distance below"),
    ("x.png", {"azimuth": math.inf}, "finite"),
    ("x.png", {"elevation": math.nan}, "finite"),
    ("x.png", {"path": "there.json", "frame": 1}, "one of them"),
    ("x.png", {"path": "nowhere.json"}, "nowhere.json"),
])  # fmt: skip
def test_what_cannot_be_meant_is_told_in_a_line(bundle, tmp_path, output, options, words):
    if "path" in options:
        options = {**options, "path": tmp_path / options["path"]}
    with pytest.raises(NerfsemError, match=words):
        Render(bundle, tmp_path / output, **options).run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("changes", [
    {"camera_path": []}, {"camera_path": [3]}, {"camera_type": "equirectangular"}, {"render_width": "wide"},
    {"render_width": math.inf}, {"seconds": math.inf}, {"seconds": 0, "fps": 0},
    {"camera_path": [{"camera_to_world": [math.nan] * 16, "fov": 50}]},
    {"camera_path": [{"camera_to_world": np.eye(4).ravel().tolist(), "fov": 0}]},
])  # fmt: skip
def test_a_file_that_is_no_path_is_named(made, tmp_path, changes):
    (tmp_path / "path.json").write_text(json.dumps(saved_path(made, **changes)))
    with pytest.raises(NerfsemError, match="path.json"):
        viewpoint.from_nerfstudio(made, tmp_path / "path.json", None)


def test_sizes():
    assert parse_size("1920:1080") == parse_size("1920x1080") == (1920, 1080) and parse_size(None) is None
