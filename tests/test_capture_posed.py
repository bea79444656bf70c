"""Pictures whose cameras another program has found become the scene that the cameras describe, whatever world they are in."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.entry import capture, is_posed, open_source
from nerfsem_method.capture.mattes import silhouettes
from nerfsem_method.capture.options import CaptureOptions
from nerfsem_method.capture.report.figures import read_report
from nerfsem_method.errors import CaptureError, NerfsemError
from nerfsem_method.media.clip.clip import Findings
from nerfsem_method.pipeline import Options, compress
from nerfsem_method.plugin.datamanager import ObjectRays, ObjectVideoDataset
from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig
from nerfsem_method.plugin.scene_hull import scene_hull
from nerfsem_method.scene.camera import camera_centres, shown_part
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training import agreement
from nerfsem_method.training.cameras import CameraPath

TURN = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The other program's world lies on its side,"""
CUT = (0, 1, 2, 3, 4)
"""Of these pictures one side was cropped."""
EYE = np.eye(4).tolist()
SCALE, SHIFT = 7.0, np.array([3.0, -2.0, 11.0])
"""is larger, and has its origin elsewhere."""


def elsewhere(pose: np.ndarray) -> np.ndarray:
    """Return camera to world [4, 4], OpenGL axes, in the other world."""
    made = np.eye(4)
    made[:3, :3] = TURN @ pose[:, :3].T @ np.diag([1.0, -1.0, -1.0])
    made[:3, 3] = SCALE * TURN @ (-pose[:, :3].T @ pose[:, 3]) + SHIFT
    return made


def listing(scene, folder, **common):
    """Copy pictures and mattes of a scene, and return the content of a transforms.json for them."""
    shutil.copytree(scene.root / "frames", folder / "images")
    shutil.copytree(scene.root / "mattes", folder / "masks")
    frames = [
        {
            "file_path": f"images/{frame.index:06d}.png",
            "mask_path": f"masks/{frame.index:06d}.png",
            "transform_matrix": elsewhere(frame.cam_from_world).tolist(),
        }
        for frame in scene.frames
    ]
    c = scene.camera
    facts = {"w": c.width, "h": c.height, "fl_x": c.fx, "fl_y": c.fy, "cx": c.cx, "cy": c.cy, "camera_model": "OPENCV"}
    return {**facts, **common, "frames": frames[::-1]}


def write(folder, data, name="transforms.json"):
    (folder / name).write_text(json.dumps(data))
    return folder


def assert_same_cameras(made, scene):
    """Check that a scene's cameras are those of another one, but for the size and place of the unit cube."""
    np.testing.assert_allclose(made.camera.params, scene.camera.params, atol=1e-6)
    ours, truth = camera_centres(made.poses), camera_centres(scene.poses)
    a, b = ours - ours.mean(0), truth - truth.mean(0)
    scale = np.linalg.norm(a) / np.linalg.norm(b)
    turn = made.poses[0, :, :3].T @ scene.poses[0, :, :3]
    np.testing.assert_allclose(a, scale * b @ turn.T, atol=1e-6)
    assert 0.7 < scale < 1.6  # the object fills the cube


def test_a_transforms_file_gives_cameras_order_and_mattes(vase_scene, tmp_path):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan"))
    made = capture(data, CaptureOptions())
    assert made.root == tmp_path / "scan.nerfsem"
    assert_same_cameras(made, vase_scene)
    for part in ("frames", "mattes"):
        made_files, files = (sorted((root / part).glob("*.png")) for root in (made.root, vase_scene.root))
        for ours, theirs in zip(made_files, files, strict=True):
            assert np.array_equal(np.asarray(Image.open(ours)), np.asarray(Image.open(theirs)))
    report = read_report(made.root)
    assert report.features_from == "given" and not [text for text in report.warnings if "turn" in text or "points" in text]


def test_nerfstudio_trains_on_it(vase_scene, tmp_path):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan"))
    outputs = ObjectVideoDataParserConfig(data=data).setup().get_dataparser_outputs("train")
    assert len(outputs.cameras) == 12 and outputs.image_filenames[0].is_file()


def test_alpha_is_the_matte_and_blender_names_no_endings(vase_scene, tmp_path):
    folder = tmp_path / "lego"
    data = listing(vase_scene, folder)
    camera = replace(vase_scene.camera, cx=vase_scene.camera.width / 2, cy=vase_scene.camera.height / 2)
    for frame in data["frames"]:
        picture, matte = (Image.open(folder / frame[key]) for key in ("file_path", "mask_path"))
        picture.putalpha(matte)
        picture.save(folder / frame["file_path"])
        frame["file_path"] = "./" + frame["file_path"].removesuffix(".png")
        del frame["mask_path"]
    shutil.rmtree(folder / "masks")
    angle = 2 * np.arctan(camera.width / 2 / camera.fx)
    write(folder, {"camera_angle_x": angle, "frames": data["frames"]}, "transforms_train.json")
    made = capture(folder, CaptureOptions())
    np.testing.assert_allclose(made.camera.params, camera.params, atol=1e-6)
    assert np.array_equal(
        np.asarray(Image.open(made.root / "mattes/000004.png")), np.asarray(Image.open(vase_scene.root / "mattes/000004.png"))
    )


def test_each_frames_own_camera_is_made_the_scenes_one(vase_scene, tmp_path):
    folder = tmp_path / "polycam"
    data = listing(vase_scene, folder)
    camera = vase_scene.camera
    for number, frame in enumerate(data["frames"]):
        zoom = 1 + 0.04 * (number % 3 - 1)
        frame |= {"fl_x": camera.fx * zoom, "fl_y": camera.fy * zoom, "cx": camera.cx + number % 3 - 1}
        for key in ("file_path", "mask_path"):  # what a camera of that focal length would have seen
            with Image.open(folder / frame[key]) as seen:
                shift_x, shift_y = camera.cx - (camera.cx + number % 3 - 1) / zoom, camera.cy * (1 - 1 / zoom)
                terms = (1 / zoom, 0, shift_x, 0, 1 / zoom, shift_y)
                zoomed = seen.transform(seen.size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC)
            zoomed.save(folder / frame[key])
    made = capture(write(folder, data), CaptureOptions())
    assert_same_cameras(made, vase_scene)
    inside = np.s_[30:-30, 20:-20]
    for index in (0, 1, 2):
        ours, theirs = (np.asarray(Image.open(root / f"mattes/{index:06d}.png"), float) for root in (made.root, vase_scene.root))
        assert np.abs(ours - theirs)[inside].mean() < 2 < np.abs(np.roll(theirs, 3, 1) - theirs)[inside].mean()


@pytest.fixture
def cut(vase_scene, tmp_path):
    """Return the scene of pictures of which five were cropped on one side, by the pixels that are returned, through the vase."""
    data = listing(vase_scene, tmp_path / "cut")
    camera = vase_scene.camera
    columns = np.flatnonzero((np.asarray(Image.open(vase_scene.root / "mattes/000000.png")) > 127).any(0))
    aside = camera.width - columns[-1] + len(columns) // 3
    for number in CUT:
        frame = next(frame for frame in data["frames"] if f"{number:06d}" in frame["file_path"])
        frame["cx"] = camera.cx + aside
        for key in ("file_path", "mask_path"):
            picture = np.asarray(Image.open(tmp_path / "cut" / frame[key]))
            Image.fromarray(picture[:, (np.arange(camera.width) - aside).clip(0)]).save(tmp_path / "cut" / frame[key])
    return capture(write(tmp_path / "cut", data), CaptureOptions()), int(aside)


def test_what_lies_beyond_a_crop_is_not_taken_for_empty(vase_scene, cut, tmp_path):
    made, aside = cut
    width, height = made.camera.width, made.camera.height
    for frame in Scene.load(made.root).frames:
        rows, columns = shown_part(frame.window, width, height)
        assert (rows.stop, columns.stop) == (height, width - aside * (frame.index in CUT))
    whole = capture(write(tmp_path / "whole", listing(vase_scene, tmp_path / "whole")), CaptureOptions())
    blind = replace(made, root=tmp_path, frames=tuple(
        replace(frame, window=None, matte=str(made.root / frame.matte)) for frame in made.frames
    ))  # fmt: skip
    there, here, lost = (int(scene_hull(scene, 48).sum()) for scene in (whole, made, blind))
    assert here > 0.95 * there > 0.8 * there > lost
    (warning,) = read_report(made.root).warnings
    assert warning.startswith("the object leaves the frame in 000000.png to 000004.png: film from further away")


def test_nothing_is_learnt_from_beyond_a_crop(cut):
    made, aside = cut
    outputs = ObjectVideoDataParserConfig(data=made.root).setup().get_dataparser_outputs("train")
    rays = ObjectRays(ObjectVideoDataset(outputs), "cpu")
    pixels, _ = rays.draw(20000, torch.Generator().manual_seed(1))
    beyond = pixels[:, 2] >= made.camera.width - aside
    cropped = torch.isin(pixels[:, 0], torch.tensor(CUT))
    assert (beyond & ~cropped).any() and not (beyond & cropped).any()


def test_mattes_beyond_a_crop_stay_as_they_are(cut, monkeypatch):
    """The field shows the object a little beyond where the pictures that were cropped end."""
    made, aside = cut
    width, height = made.camera.width, made.camera.height
    end = width - aside
    alpha = torch.zeros(height, width)
    alpha[20:-20, 10 : end + 14] = 1
    monkeypatch.setattr(agreement, "alpha_of", lambda field, cameras, index: alpha)
    monkeypatch.setattr(agreement, "cell", lambda field, cameras: 0.0)
    frames = torch.zeros(2, height, width, 4, dtype=torch.uint8)
    frames[:, 20:-20, 10:end, 3] = 255
    windows = [made.frames[CUT[0]].window, None]
    agreement.agree(None, CameraPath(made.camera, made.poses), frames, torch.tensor([0, 1]), windows, False)  # type: ignore[arg-type]
    assert not frames[0, :, end:, 3].any() and frames[1, 40:-40, end + 2 : end + 10, 3].all()


@pytest.mark.parametrize("others", [[2, 6, 7], [0, 1, 2, 3, 4]])
def test_pictures_of_another_lens_keep_its_focal_length(vase_scene, tmp_path, others):
    folder = tmp_path / "lenses"
    data = listing(vase_scene, folder)
    camera, zoom = vase_scene.camera, 1.5
    frames = sorted(data["frames"], key=lambda frame: frame["file_path"])
    for number in others:
        frame = frames[number]
        frame |= {"fl_x": camera.fx * zoom, "fl_y": camera.fy * zoom}
        for key in ("file_path", "mask_path"):
            with Image.open(folder / frame[key]) as seen:
                terms = (1 / zoom, 0, camera.cx * (1 - 1 / zoom), 0, 1 / zoom, camera.cy * (1 - 1 / zoom))
                zoomed = seen.transform(seen.size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC)
            zoomed.save(folder / frame[key])
    made = capture(write(folder, data), CaptureOptions())
    assert_same_cameras(made, vase_scene)
    np.testing.assert_allclose(made.cameras.factors, [zoom if number in others else 1 for number in range(12)])
    for frame, asked in zip(made.frames, frames, strict=True):
        with Image.open(made.root / frame.image) as ours, Image.open(folder / asked["file_path"]) as theirs:
            assert np.array_equal(ours, theirs)


def test_an_impossible_zoom_is_refused(vase_scene, tmp_path):
    folder = tmp_path / "lenses"
    data = listing(vase_scene, folder)
    data["frames"][3]["fl_x"] = data["frames"][3]["fl_y"] = 40 * vase_scene.camera.fx
    with pytest.raises(CaptureError, match="40 times the usual focal length for 0000"):
        capture(write(folder, data), CaptureOptions())


def test_a_model_of_colmap_is_taken_over_with_its_points(vase_scene, tmp_path):
    folder = tmp_path / "scan"
    listing(vase_scene, folder)
    colmap_text(vase_scene, folder / "sparse/0")
    made = capture(folder, CaptureOptions())
    assert_same_cameras(made, vase_scene)
    assert read_report(made.root).points == 3


def colmap_text(scene, folder, names="{:06d}.png"):
    """Write a model of COLMAP as text, in the other world, with three points in the object's middle."""
    from scipy.spatial.transform import Rotation

    folder.mkdir(parents=True)
    c = scene.camera
    (folder / "cameras.txt").write_text(f"1 PINHOLE {c.width} {c.height} {c.fx} {c.fy} {c.cx} {c.cy}\n")
    points = 0.5 + 0.02 * np.eye(3)
    lines, tracks = [], [[] for _ in points]
    for frame in scene.frames:
        world = elsewhere(frame.cam_from_world)
        rotation: np.ndarray = np.diag([1.0, -1.0, -1.0]) @ world[:3, :3].T
        x, y, z, w = Rotation.from_matrix(rotation).as_quat()
        numbers = [frame.index + 1, w, x, y, z, *(-rotation @ world[:3, 3]), 1]
        lines.append(" ".join(map(str, numbers)) + f" {names.format(frame.index)}")
        seen, _ = c.project(points, frame.cam_from_world)
        lines.append(" ".join(f"{u} {v} {p + 1}" for p, (u, v) in enumerate(seen)))
        for row, track in enumerate(tracks):
            track += [frame.index + 1, row]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    there = SCALE * points @ TURN.T + SHIFT
    rows = (f"{i + 1} {x} {y} {z} 9 9 9 0.1 {' '.join(map(str, tracks[i]))}" for i, (x, y, z) in enumerate(there))
    (folder / "points3D.txt").write_text("\n".join(rows) + "\n")


def test_pictures_that_are_damaged_or_have_no_pose_are_left_out(vase_scene, tmp_path):
    folder = tmp_path / "scan"
    data = listing(vase_scene, folder)
    by_name = {frame["file_path"]: frame for frame in data["frames"]}
    by_name["images/000004.png"]["transform_matrix"] = np.full((4, 4), np.nan).tolist()
    damaged = folder / "images/000007.png"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    with pytest.raises(CaptureError, match="--allow-gaps"):  # 2 of 12
        capture(write(folder, data), CaptureOptions())
    made = capture(folder, CaptureOptions(allow_gaps=True))
    assert made.video.left_out == (4, 7) and len(made.frames) == 10
    kept = [vase_scene.frames[index] for index in range(12) if index not in (4, 7)]
    assert_same_cameras(made, replace(vase_scene, frames=tuple(kept)))
    for ours, theirs in zip(made.frames, kept, strict=True):
        matte, true = Image.open(made.root / ours.matte), Image.open(vase_scene.root / theirs.matte)
        assert np.array_equal(np.asarray(matte), np.asarray(true))
    assert any("000007.png" in text for text in read_report(made.root).warnings)


def test_of_many_pictures_every_second_is_taken(vase_scene, tmp_path):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan"))
    with pytest.raises(CaptureError, match="at least 8"):
        capture(data, CaptureOptions(every=2))
    with pytest.raises(CaptureError, match="--every 0"):
        capture(data, CaptureOptions(every=0))


def test_mattes_of_the_users_own_win(vase_scene, tmp_path):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan"))
    (data / "masks").rename(tmp_path / "mattes")
    (data / "masks").mkdir()
    for frame in vase_scene.frames:
        Image.new("L", (90, 160), 255).save(data / f"masks/{frame.index:06d}.png")
    made = capture(data, CaptureOptions(mattes=tmp_path / "mattes"))
    ours, theirs = (np.asarray(Image.open(root / "mattes/000003.png")) for root in (made.root, vase_scene.root))
    assert np.array_equal(ours, theirs)


def numbered_plainly(folder, data):
    """Call the pictures 0.png, 1.png ... 10.png, as Blender does, and write their paths as Windows does."""
    for frame in data["frames"]:
        number = int(frame["file_path"][-10:-4])
        for kind in ("images", "masks"):
            (folder / f"{kind}/{number:06d}.png").rename(folder / f"{kind}/r_{number}.png")
        frame.update(file_path=rf"images\r_{number}", mask_path=rf"masks\r_{number}.png")
    return data


@pytest.mark.parametrize("kind", ["masks of the list", "mattes", "model of COLMAP"])
def test_ten_comes_after_nine(vase_scene, tmp_path, kind):
    folder = tmp_path / "scan"
    data = numbered_plainly(folder, listing(vase_scene, folder))
    if kind == "model of COLMAP":
        colmap_text(vase_scene, folder / "sparse/0", "r_{}.png")
    else:
        write(folder, data)
    made = capture(folder, CaptureOptions(mattes=folder / "masks" if kind == "mattes" else None))
    assert_same_cameras(made, vase_scene)
    for ours, theirs in zip(made.frames, vase_scene.frames, strict=True):
        for root, path, other in ((made.root, ours.image, theirs.image), (made.root, ours.matte, theirs.matte)):
            assert np.array_equal(np.asarray(Image.open(root / path)), np.asarray(Image.open(vase_scene.root / other)))


@pytest.mark.parametrize("change, words", [
    ({"camera_model": "OPENCV_FISHEYE"}, "undistort"),
    ({"k3": 0.1}, "undistort"),
    ({"frames": []}, "at least 8"),
    ({"frames": [{"file_path": "images/none.png", "transform_matrix": np.eye(4).tolist()}] * 9}, "does not exist"),
    ({"frames": [{"file_path": "images/000000.png", "transform_matrix": [[1, 2]]}] * 9}, "no pose"),
    ({"frames": 3}, "no list"),
    ({"is_fisheye": True}, "a fisheye .*: undistort"),
    ({"fl_x": 0}, "a focal length of 0 pixels for 000000.png"),
    ({"fl_x": -90.0}, "a focal length of -90 pixels"),
    ({"frames": [{"file_path": "images/000000.png"}]}, "does not say 'transform_matrix'"),
    ({"frames": [{"file_path": f"images/{i:06d}.png", "transform_matrix": EYE} for i in range(9)]}, "all stand in one place"),
    ({"frames": [{"file_path": "images/000000.png", "transform_matrix": np.diag([1.0, 1, -1, 1]).tolist()}] * 9}, "left-handed"),
])  # fmt: skip
def test_what_cannot_be_taken_over_is_told_in_a_line(vase_scene, tmp_path, change, words):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan") | change)
    with pytest.raises(CaptureError, match=words):
        capture(data, CaptureOptions())


def test_a_list_without_a_focal_length_is_told_what_to_name(vase_scene, tmp_path):
    data = listing(vase_scene, tmp_path / "scan")
    del data["fl_x"]
    with pytest.raises(CaptureError, match="names no focal length for 000000.png: fl_x in pixels, or camera_angle_x"):
        capture(write(tmp_path / "scan", data), CaptureOptions())


def test_a_list_of_another_machine_is_read(vase_scene, tmp_path):
    """It names folders that are not here, and Windows begins it with a mark."""
    data = listing(vase_scene, tmp_path / "scan")
    for frame in data["frames"]:
        frame |= {key: f"/home/anna/scan/{frame[key]}" for key in ("file_path", "mask_path")}
    (tmp_path / "scan/transforms.json").write_text(json.dumps(data), encoding="utf-8-sig")
    assert_same_cameras(capture(tmp_path / "scan", CaptureOptions()), vase_scene)


ORDERS = {
    "right": ([*range(12)], ""),
    "reverse": ([*range(12)][::-1], "the mattes would fit the cameras better if they were in reverse order"),
    "late": ([11, *range(11)], "the mattes would fit the cameras better if they were one frame earlier"),
    "turned": ([*range(12)], "the mattes would fit the cameras better if they were turned by 180 degrees"),
    "drawn by lot": ([7, 2, 9, 4, 11, 0, 5, 10, 3, 8, 1, 6], "the mattes "),
    "with empty ones": ([*range(12)], ""),
}


@pytest.mark.parametrize("order", ORDERS)
def test_mattes_that_disagree_with_cameras_without_points_are_told(vase_scene, tmp_path, order):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan"))
    (tmp_path / "mattes").mkdir()
    files, (taken, words) = sorted((data / "masks").iterdir()), ORDERS[order]
    for number, file in enumerate(files):
        matte = Image.open(files[taken[number]])
        matte = matte.rotate(180) if order == "turned" else matte
        matte = Image.new("L", matte.size) if order == "with empty ones" and number in (2, 7) else matte
        matte.save(tmp_path / "mattes" / file.name)
    report = read_report(capture(data, CaptureOptions(mattes=tmp_path / "mattes")).root)
    said = [text for text in report.warnings if "are they of these pictures, one for each" in text]
    assert len(said) == bool(words) and all(text.startswith(words) for text in said)


BESIDE = ("masks/{}.jpg", "masks/{}.png.png", "masks/cam/{}.png", "masks/cam/{}.png.png", "masks/of {}.png", "mask/{}.png")


@pytest.mark.parametrize("kind", BESIDE)
def test_mattes_beside_the_pictures_are_found_or_it_is_told_that_they_are_not(vase_scene, tmp_path, kind):
    """Pictures of two cameras have the same names, and each its own mattes."""
    folder = tmp_path / "scan"
    data = listing(vase_scene, folder)
    shutil.move(folder / "masks", tmp_path / "own")
    for number, frame in enumerate(sorted(data["frames"], key=lambda frame: frame["file_path"])):
        camera = f"cam{number % 2}" if "cam" in kind else "."
        (folder / "images" / camera).mkdir(exist_ok=True)
        name = f"{number // 2 if 'cam' in kind else number:06d}"
        place = folder / kind.replace("cam", camera).format(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(tmp_path / "own" / f"{number:06d}.png").save(place, quality=95)
        moved = folder / "images" / camera / f"{name}_.png"
        (folder / frame["file_path"]).rename(moved)
        frame["file_path"] = str(moved.relative_to(folder))
        del frame["mask_path"]
    for path in (folder / "images").rglob("*_.png"):
        path.rename(path.with_name(path.name.replace("_.png", ".png")))
    for frame in data["frames"]:
        frame["file_path"] = frame["file_path"].replace("_.png", ".png")
    clip = open_source(write(folder, data), CaptureOptions())
    found = Findings()
    alphas = [frame.alpha for frame in clip.frames(findings=found)]
    if kind in BESIDE[-2:]:
        assert all(alpha is None for alpha in alphas)
        assert any("are not called after one picture each, and not heeded" in said for said in found.remarks)
        return
    order = [*range(0, 12, 2), *range(1, 12, 2)] if "cam" in kind else range(12)
    for alpha, number in zip(alphas, order, strict=True):
        truth = np.asarray(Image.open(tmp_path / "own" / f"{number:06d}.png"))
        assert alpha is not None and ((alpha > 127) == (truth > 127)).mean() > 0.995
    assert found.remarks == []


def test_a_mask_that_the_list_names_for_several_pictures_is_theirs(vase_scene, tmp_path):
    data = listing(vase_scene, tmp_path / "scan")
    for frame in data["frames"]:
        frame["mask_path"] = "masks/000003.png"
    alphas = [frame.alpha for frame in open_source(write(tmp_path / "scan", data), CaptureOptions()).frames()]
    assert all(alpha is not None and np.array_equal(alpha, alphas[0]) for alpha in alphas)


def test_pictures_of_a_kind_that_no_camera_makes_are_taken_over(vase_scene, tmp_path):
    folder = tmp_path / "scan"
    listing(vase_scene, folder)
    for path in (folder / "images").iterdir():
        Image.open(path).save(path.with_suffix(".pcx"))
        path.unlink()
    colmap_text(vase_scene, folder / "sparse/0", "{:06d}.pcx")
    found = Findings()
    assert len(list(open_source(folder, CaptureOptions()).frames(findings=found))) == 12 and found.remarks == []


@pytest.mark.parametrize(("shares", "thick", "words"), [
    ((0.6, 0.6), True, "the mattes and the cameras disagree (60 %"),
    ((0.6, 0.6), False, ""),
    ((0.6, 0.7), False, "the mattes and the cameras disagree (60 %"),
    ((0.8, 0.9), False, "the mattes would fit the cameras better if they were in reverse order"),
    ((0.8, 0.82), True, ""),
    ((0.96, 1.0), True, ""),
])  # fmt: skip
def test_thin_things_may_differ_from_their_silhouettes(shares, thick, words, monkeypatch):
    mattes = np.zeros((9, 90, 60), np.uint8)
    mattes[:, 10:80, 20 : 40 if thick else 22] = 255
    mattes[0, 10, 20] = 254  # by which the order is told

    def share(given, model):
        return shares[1] if given[-1, 10, 20] == 254 else shares[0]

    monkeypatch.setattr(silhouettes, "_share", share)
    monkeypatch.setattr(SparseModel, "of_frames", lambda model, chosen: model)
    found = silhouettes.disagreement(mattes, SparseModel.__new__(SparseModel))
    assert len(found) == bool(words) and all(said.startswith(words) for said in found)


def test_pictures_of_one_name_do_not_share_a_matte(vase_scene, tmp_path):
    """Folders of two cameras lie beside each other, and one folder of masks; or each camera has its own."""
    folder = tmp_path / "scan"
    data = listing(vase_scene, folder)
    for number, frame in enumerate(data["frames"]):
        place = folder / f"cam{number % 2}" / "images"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / frame["file_path"], place / f"{number // 2}.png")
        shutil.copy(folder / frame["mask_path"], folder / "masks" / f"{number // 2}.png")
        frame["file_path"] = str((place / f"{number // 2}.png").relative_to(folder))
        del frame["mask_path"]
    shared = open_source(write(folder, data), CaptureOptions())
    assert all(frame.alpha is None for frame in shared.frames())
    for camera in ("cam0", "cam1"):
        shutil.copytree(folder / "masks", folder / camera / "masks")
    own = open_source(folder, CaptureOptions())
    assert all(frame.alpha is not None for frame in own.frames())


def test_the_largest_model_of_colmap_is_taken_and_pictures_without_a_camera_are_told(vase_scene, tmp_path):
    folder = tmp_path / "scan"
    listing(vase_scene, folder)
    shutil.copy(folder / "images/000000.png", folder / "images/more.png")
    colmap_text(vase_scene, folder / "sparse/1")
    colmap_text(replace(vase_scene, frames=vase_scene.frames[:9]), folder / "sparse/0")
    clip, found = open_source(folder, CaptureOptions()), Findings()
    assert len(list(clip.frames(findings=found))) == 12
    assert "of 2 models the largest is taken: sparse/1, of 12 pictures" in found.remarks
    assert "1 pictures have no camera in the model and are left out: more.png" in found.remarks


def test_masks_that_only_hide_a_corner_are_no_mattes(vase_scene, tmp_path):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan"))
    for path in (data / "masks").iterdir():
        Image.new("L", (90, 160), 255).save(path)
    with pytest.raises(CaptureError, match="--mattes"):
        capture(data, CaptureOptions())


def test_other_folders_are_not_taken_for_such(vase_scene, tmp_path):
    assert not is_posed(vase_scene.root) and not is_posed(tmp_path) and not is_posed(tmp_path / "none")
    with pytest.raises(CaptureError, match="holds no photographs"):
        capture(tmp_path, CaptureOptions())
    with pytest.raises(CaptureError, match="holds no photographs"):
        compress(tmp_path, tmp_path / "x.nsem", Options())


@pytest.mark.slow
def test_compress_takes_it_and_measures_a_wanted_quality_on_its_own_frames(vase_scene, tmp_path):
    data = write(tmp_path / "scan", listing(vase_scene, tmp_path / "scan"))
    told: list[str] = []
    with pytest.raises(NerfsemError, match="50 dB is out of reach.*came closest with PSNR-CENTER"):
        compress(data, tmp_path / "x.nsem", Options("pc", "smoke", max_steps=60, target_psnr=50.0), tell=told.append)
    assert (tmp_path / "x.nsem").stat().st_size > 1000 and any("PSNR-CENTER" in line for line in told)
