"""The segmenter without weights finds the vase of the sample clip, and the pedestal under it only if that is asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image
from true_scene import true_scene

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.mattes import classical, cluster
from nerfsem_method.capture.mattes.colour import AS_IT_IS, BINS, COLOURLESS, own_colour
from nerfsem_method.capture.mattes.evidence import View
from nerfsem_method.capture.mattes.given import load_mattes
from nerfsem_method.capture.mattes.hints import ObjectBox
from nerfsem_method.capture.mattes.moving import Moving
from nerfsem_method.errors import CaptureError
from nerfsem_method.scene.camera import camera_centres, look_at_point
from nerfsem_method.scene.hull import carve
from nerfsem_method.scene.scene import Scene

GRID = 48
VASE_POINTS, PEDESTAL_POINTS, WALL_POINTS = 1500, 500, 400
PEDESTAL_HALF, WALL_DISTANCE = 0.6, 6.0
"""The scene's unit is about the vase's height."""
QUICK = ((160, 48), (160, 48), (160, 64), (240, 64))
"""Passes of so many pixels and voxels take a quarter of the time."""


def clustered(*given, **options) -> cluster.Cluster:
    """Return the cluster that is there to be found."""
    group = cluster.find(*given, **options)
    assert group is not None
    return group


def triangulated(scene: Scene, mattes: np.ndarray) -> SparseModel:
    """Return what COLMAP would find: points on the vase, on the pedestal's top and on walls, seen by most frames."""
    rng = np.random.default_rng(1)
    kept = carve(scene.cameras, mattes, GRID, np.zeros(3), 1.0, margin_pixels=0)
    inner = kept & np.roll(kept, 1, 2) & np.roll(kept, -1, 2)
    vase = (np.argwhere(kept & inner) + rng.uniform(size=(int(inner.sum()), 3))) / GRID
    vase = rng.permutation(vase)[:VASE_POINTS]
    middle, foot = vase.mean(0), vase[:, 2].min() - 0.02
    top = np.column_stack([middle[:2] + rng.uniform(-1, 1, (PEDESTAL_POINTS, 2)) * PEDESTAL_HALF, np.full(PEDESTAL_POINTS, foot)])
    walls = rng.normal(size=(WALL_POINTS, 3))
    walls = middle + WALL_DISTANCE * walls / np.linalg.norm(walls, axis=1, keepdims=True)
    points = np.concatenate([vase, top, walls])
    views = []
    for index, (pose, matte) in enumerate(zip(scene.poses, mattes, strict=True)):
        pixels, depth = scene.camera.project(points, pose)
        column, row = np.floor(pixels).astype(int).T
        seen = (depth > 0) & (pixels >= 0).all(1) & (column < scene.camera.width) & (row < scene.camera.height)
        hidden = np.zeros(len(points), bool)
        hidden[seen] = matte[row[seen], column[seen]] > 127
        hidden[: len(vase)] = False  # the vase hides what is behind it, not itself
        chosen = np.flatnonzero(seen & ~hidden)
        views.append(np.column_stack([chosen, np.full(len(chosen), index), pixels[chosen]]))
    registered = np.ones(len(mattes), bool)
    colours = np.zeros((len(points), 3), np.uint8)
    return SparseModel(scene.camera, scene.poses, registered, points, colours, np.concatenate(views), 0.5, 0)


@pytest.fixture(scope="module", autouse=True)
def quick():
    stages = zip(classical.PASSES, QUICK, strict=True)
    passes = tuple(dataclasses.replace(stage, long_side=side, voxels=voxels) for stage, (side, voxels) in stages)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(classical, "PASSES", passes)
        yield


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Return a scene in which outlines are finer than in the one that other tests share."""
    return true_scene(tmp_path_factory.mktemp("scene") / "vase.nerfsem", every=5, width=135, height=240)


@pytest.fixture(scope="module")
def truth(scene):
    return load_mattes(scene.root / "mattes")


@pytest.fixture(scope="module")
def model(scene, truth):
    return triangulated(scene, truth)


@pytest.fixture(scope="module")
def frames(scene):
    return sorted((scene.root / "frames").glob("*.png"))


@pytest.fixture
def few(model):
    """This model has the cameras of the first eight frames alone."""
    views = model.views[model.views[:, 1] < 8]
    return dataclasses.replace(model, poses=model.poses[:8], registered=model.registered[:8], views=views)


@pytest.fixture(scope="module")
def found(frames, model, tmp_path_factory):
    folder, told = tmp_path_factory.mktemp("mattes"), []
    classical.segment(frames, model, folder, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    return load_mattes(folder)


def test_object_and_support_have_colours_of_their_own(frames, model, truth, tmp_path):
    """A white vase stands on a black pedestal: white says nothing about the pedestal, however much of the whole is white."""
    picture = np.where(truth[0] > 127, 255, 0).astype(np.uint8)
    Image.fromarray(np.stack([picture] * 3, -1)).save(tmp_path / "000000.png")
    group = clustered(model, keep_support=True)
    view = View([tmp_path / "000000.png"], model, group, classical.PASSES[0], AS_IT_IS)
    shadows = view.marks(0)[1].astype(np.float32)[None]
    for palettes in (view.first_palette(0), view.palette(shadows, 0)):
        object_light, support_light = palettes.reshape(2, BINS, BINS, BINS)[:, BINS // 2 :].sum((1, 2, 3))
        assert object_light > 0.65
        assert support_light < 0.2


def test_the_vase_is_cut_out(found, truth):
    ours, true = found > 127, truth > 127
    overlap = (ours & true).sum((1, 2)) / (ours | true).sum((1, 2))
    assert overlap.mean() > 0.9
    assert overlap.min() > 0.85


@pytest.mark.parametrize(
    ("share", "dark", "pale"), [(0.1, (30, 50), (85, 92)), (0.24, (15, 50), (60, 95)), (0.009, (30, 50), (20, 92))]
)
def test_a_clay_pot_before_a_grey_wall_has_colours_and_a_tint_has_none(
    share: float, dark: tuple[float, float], pale: tuple[float, float]
) -> None:
    """Its shades are its own, and it may be small; what follows from the light alone is no colour."""
    rng, count = np.random.default_rng(0), 64000
    seen = np.column_stack([rng.uniform(*pale, count), *rng.normal(0, 0.5, (2, count))])
    pot = seen[: int(share * count)]
    pot[:, 0] = rng.uniform(*dark, len(pot))
    pot[:, 1:] += pot[:, :1] * (0.5, 0.7)
    assert own_colour(seen[None]) > COLOURLESS
    seen[:, 1:] = seen[:, :1] * (0.1, 0.3) + rng.normal(0, 2, (count, 2))
    assert own_colour(seen[None]) < COLOURLESS


@pytest.mark.parametrize("kind", ["black and white", "sepia", "flat"])
def test_pictures_without_colours_or_contrast_will_do(kind, frames, model, truth, tmp_path):
    """Colours alone would take walls beside the vase for it."""
    shown = []
    for path in frames:
        picture = np.asarray(Image.open(path).convert("RGB")).astype(float)
        grey = picture @ [0.299, 0.587, 0.114]
        changed = {"black and white": grey[..., None] * [1, 1, 1], "sepia": grey[..., None] * [1.07, 0.9, 0.68]}.get(kind)
        changed = 110 + 0.2 * picture if changed is None else changed
        shown.append(tmp_path / path.name)
        Image.fromarray(changed.clip(0, 255).round().astype(np.uint8)).save(shown[-1])
    (tmp_path / "mattes").mkdir()
    classical.segment(shown, model, tmp_path / "mattes", lambda done, total: None)
    ours, true = load_mattes(tmp_path / "mattes") > 127, truth > 127
    overlap = (ours & true).sum((1, 2)) / (ours | true).sum((1, 2))
    assert overlap.mean() > 0.85


def test_some_frames_find_the_body_for_all(frames, model, truth, tmp_path, monkeypatch):
    monkeypatch.setattr(classical, "VOTERS", len(frames) // 2)
    told = []
    classical.segment(frames, model, tmp_path, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(classical.PASSES) * (len(frames) // 2) + len(frames),) * 2
    ours, true = load_mattes(tmp_path) > 127, truth > 127
    assert ((ours & true).sum((1, 2)) / (ours | true).sum((1, 2))).mean() > 0.9


def test_edges_are_soft(found):
    assert ((found > 0) & (found < 255)).any((1, 2)).all()


def test_the_same_mattes_come_out_every_time(frames, few, tmp_path):
    for attempt in ("a", "b"):
        (tmp_path / attempt).mkdir()
        classical.segment(frames[:8], few, tmp_path / attempt, lambda done, total: None)
    first = load_mattes(tmp_path / "a")
    assert first.any()
    np.testing.assert_array_equal(first, load_mattes(tmp_path / "b"))


def test_the_pedestal_is_told_from_the_vase(model):
    group = clustered(model)
    vase, rest = slice(VASE_POINTS), slice(VASE_POINTS, None)
    assert group.mine[vase].mean() > 0.8
    assert not group.mine[rest].any()
    assert group.others[VASE_POINTS + PEDESTAL_POINTS :].all()
    assert np.isfinite(group.height)
    assert group.above(model.points[vase]).mean() > 0.95


def test_smooth_sides_with_few_points_belong_to_the_body(model):
    """One third of a barrel shows 600 points that touch, and two thirds show 200 that do not."""
    rng, rough, smooth = np.random.default_rng(0), 600, 200
    target = look_at_point(model.poses)
    distance = np.median(np.linalg.norm(camera_centres(model.poses) - target, axis=1))
    angle = np.pi / 3 * np.concatenate([rng.uniform(-1, 1, rough), rng.uniform(1, 5, smooth)])
    barrel = np.column_stack([np.cos(angle), np.sin(angle), rng.uniform(-1, 1, rough + smooth)])
    views = np.column_stack([np.repeat(np.arange(rough + smooth), 3), np.tile(np.arange(3), rough + smooth)])
    points, colours = target + 0.2 * distance * barrel, np.zeros((rough + smooth, 3), np.uint8)
    group = clustered(dataclasses.replace(model, points=points, colours=colours, views=views))
    assert group.mine[:rough].mean() > 0.9
    assert group.mine[rough:].mean() > 0.8


def test_the_pedestal_is_kept_where_that_is_asked_for(frames, model, few, found, tmp_path):
    group = clustered(model, keep_support=True)
    assert not np.isfinite(group.height)
    assert group.others[VASE_POINTS : VASE_POINTS + PEDESTAL_POINTS].mean() < 0.2
    classical.segment(frames[:8], few, tmp_path, lambda done, total: None, keep_support=True)
    kept, found = load_mattes(tmp_path), found[:8]
    below = np.s_[:, -20:]
    assert (kept[below] > 127).mean() > 0.3 > 0.05 > (found[below] > 127).mean()
    assert (kept > 127)[found > 200].mean() > 0.9


def test_a_frame_whose_camera_looks_away_is_empty_and_spoils_no_other(frames, few, tmp_path):
    poses = few.poses.copy()
    poses[3] = np.diag([-1.0, 1.0, -1.0]) @ poses[3]  # it turns its back on the vase
    classical.segment(frames[:8], dataclasses.replace(few, poses=poses), tmp_path, lambda done, total: None)
    found = load_mattes(tmp_path)
    assert not found[3].any()
    assert (np.delete(found, 3, 0) > 127).mean((1, 2)).min() > 0.03


def test_nothing_is_found_below_the_plane_on_which_it_stands(frames, few, monkeypatch, tmp_path):
    """The plane is raised to the vase's middle: its foot, as much vase as the rest by colour, is cut off."""
    vase = few.points[:VASE_POINTS]
    middle = np.median(vase[:, 2])

    def raised(*given):
        return dataclasses.replace(clustered(*given), normal=np.array([0.0, 0.0, 1.0]), height=middle)

    monkeypatch.setattr(classical, "find", raised)
    classical.segment(frames[:8], few, tmp_path, lambda done, total: None)
    for matte, pose in zip(load_mattes(tmp_path), few.poses, strict=True):
        column, row = np.floor(few.camera.project(vase, pose)[0]).astype(int).T
        kept = matte[row, column] > 127
        assert kept[vase[:, 2] > middle].mean() > 0.6
        assert kept[vase[:, 2] < middle - 0.15].mean() < 0.1


@pytest.mark.parametrize("region", ["object", "frame"])
def test_an_object_that_turns_alone_is_sought_where_things_move(region, frames, few, monkeypatch, tmp_path):
    upper = np.arange(240)[:, None] < 120
    monkeypatch.setattr(classical.Moving, "of", lambda frames: Moving(np.repeat(upper, 135, 1), np.zeros((240, 135), bool)))
    classical.segment(frames[:8], dataclasses.replace(few, region=region), tmp_path, lambda done, total: None)
    lower = load_mattes(tmp_path)[:, 132:] > 127
    assert lower.any() == (region == "frame")


def test_nothing_is_found_where_cameras_look_through(frames, few, monkeypatch, tmp_path):
    """The cameras see walls through the whole foot, as it were."""
    vase = few.points[:VASE_POINTS]
    middle, asked = np.median(vase[:, 2]), []

    def looked_through(grid, candidates, cameras, model, others):
        asked.append(others.sum())
        return candidates & (grid.centres(np.argwhere(np.ones(grid.shape)))[:, 2] < middle).reshape(grid.shape)

    monkeypatch.setattr(classical, "looked_through", looked_through)
    classical.segment(frames[:8], few, tmp_path, lambda done, total: None)
    assert len(asked) == len(classical.PASSES) and min(asked) >= 0.9 * WALL_POINTS
    for matte, pose in zip(load_mattes(tmp_path), few.poses, strict=True):
        column, row = np.floor(few.camera.project(vase, pose)[0]).astype(int).T
        kept = matte[row, column] > 127
        assert kept[vase[:, 2] > middle].mean() > 0.6
        assert kept[vase[:, 2] < middle - 0.15].mean() < 0.1


def test_nothing_is_found_outside_the_box_pointed_out(frames, few, tmp_path):
    vase = few.points[:VASE_POINTS]
    pixels, _ = few.camera.project(vase[vase[:, 2] > np.median(vase[:, 2])], few.poses[0])
    low, high = pixels.min(0), pixels.max(0)
    size = (few.camera.width, few.camera.height)
    box = ObjectBox(0, tuple(low / size), tuple(high / size))
    classical.segment(frames[:8], few, tmp_path, lambda done, total: None, box=box)
    (left, top), (right, bottom) = np.floor(low).astype(int), np.ceil(high).astype(int)
    found = load_mattes(tmp_path)[0] > 127
    inside = found[top:bottom, left:right]
    assert inside.mean() > 0.5
    assert found.sum() - inside.sum() < 0.1 * inside.sum()


def test_a_box_points_out_one_of_two_things(model):
    """A second vase stands beside the first, as near to what the cameras look at."""
    vase = np.arange(VASE_POINTS)
    aside = np.array([0.9, 0.0, 0.0])
    both = np.concatenate([model.points - aside / 2, model.points[vase] + aside / 2])
    views = model.views[np.isin(model.views[:, 0], vase)]
    copies = np.column_stack([views[:, 0] + len(model.points), views[:, 1:]])
    colours = np.concatenate([model.colours, model.colours[vase]])
    pair = dataclasses.replace(model, points=both, colours=colours, views=np.concatenate([model.views, copies]))
    for mine, others in ((vase, len(model.points) + vase), (len(model.points) + vase, vase)):
        pixels, _ = model.camera.project(both[mine], model.poses[0])
        shares = pixels / (model.camera.width, model.camera.height)
        box = ObjectBox(0, tuple(shares.min(0)), tuple(shares.max(0)))
        group = clustered(pair, box=box)
        assert group.mine[mine].mean() > 0.6
        assert group.mine[others].mean() < 0.1


def test_without_points_there_is_no_object_and_a_way_out(frames, model, tmp_path):
    bare = dataclasses.replace(model, points=model.points[VASE_POINTS + PEDESTAL_POINTS :], views=np.empty((0, 4)))
    with pytest.raises(CaptureError, match="--mattes"):
        classical.segment(frames, bare, tmp_path, lambda done, total: None)
    wrong = dataclasses.replace(bare, explained=0.14)
    with pytest.raises(CaptureError, match="cameras are probably wrong, for only 14%"):
        classical.segment(frames, wrong, tmp_path, lambda done, total: None)
