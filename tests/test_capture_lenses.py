"""Photographs that several lenses took have a camera for each lens, and those that one took stay as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycolmap")

import pycolmap
from drawn_models import FOCAL, HEIGHT, WIDTH, drawn, name

from nerfsem_method.capture.colmap import solving, worker
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.lenses import give_lenses, parted, several_lenses
from nerfsem_method.capture.colmap.matching import Matcher
from nerfsem_method.capture.colmap.solution import poses_of, usual_lens, zooms_of
from nerfsem_method.capture.colmap.solving import Solved, resumed, solve
from nerfsem_method.capture.colmap.worker import as_said, by_few, by_lenses
from nerfsem_method.capture.colmap.zoom import Focal, measure_focal_length

COUNT = 24
WIDE = {3: 0.5, 4: 0.5, 11: 0.5, 19: 0.5}


def job(folder: Path, **said: Any) -> Job:
    names = [name(frame) for frame in range(COUNT)]
    return Job(str(folder), str(folder), names, HEIGHT, None, False, False, str(folder), ordered=False, **said)


def photographs(folder: Path, zooms: dict[int, float]) -> Path:
    """Write the features of photographs with these zooms into a database, as COLMAP's extraction does, and return its path."""
    rng, path = np.random.default_rng(8), folder / "database.db"
    model = drawn([FOCAL * zooms.get(frame, 1.0) for frame in range(COUNT)])
    of_point = rng.integers(0, 256, (max(model.points3D) + 1, 128), np.uint8)
    with pycolmap.Database.open(str(path)) as database:
        params = [1.2 * HEIGHT, WIDTH / 2, HEIGHT / 2, 0.0]
        camera = pycolmap.Camera(model="SIMPLE_RADIAL", width=WIDTH, height=HEIGHT, params=params)
        camera.camera_id = database.write_camera(camera)
        rig = pycolmap.Rig()
        rig.add_ref_sensor(camera.sensor_id)
        number = database.write_rig(rig)
        for frame in range(COUNT):
            image = pycolmap.Image(name=name(frame), camera_id=camera.camera_id)
            image.image_id = database.write_image(image)
            its_frame = pycolmap.Frame(rig_id=number)
            its_frame.add_data_id(image.data_id)
            database.write_frame(its_frame)
            features = [p for p in model.images[frame + 1].points2D if p.has_point3D()]
            shapes = np.tile(np.array([1, 0, 0, 1], np.float32), (len(features), 1))
            pixels = np.array([p.xy for p in features], np.float32)
            database.write_keypoints(image.image_id, np.hstack([pixels, shapes]))
            descriptors = pycolmap.FeatureDescriptors(
                pycolmap.FeatureExtractorType.SIFT, of_point[[p.point3D_id for p in features]]
            )
            database.write_descriptors(image.image_id, descriptors)
    return path


def cameras(path: Path) -> list[float]:
    """Return the focal length of each photograph's camera in a database."""
    with pycolmap.Database.open(str(path)) as database:
        images = [database.read_image_with_name(name(frame)) for frame in range(COUNT)]
        assert all(image is not None for image in images)
        rigs = {data.id: f.rig_id for f in database.read_all_frames() for data in f.data_ids}
        assert all(rigs[image.image_id] == image.camera_id for image in images if image)
        return [database.read_camera(image.camera_id).focal_length for image in images if image]


def test_each_lens_has_a_camera_and_features_and_matches_stay(tmp_path: Path) -> None:
    path, usual = photographs(tmp_path, WIDE), 1.2 * HEIGHT
    asked = job(tmp_path)
    Matcher(asked, path).match([(0, 1), (1, 2)], "pairs")
    give_lenses(replace(asked, zooms={name(3): 0.5, name(4): 0.5, name(5): 2.0}), path)
    assert cameras(path) == [{3: 0.5, 4: 0.5, 5: 2.0}.get(frame, 1.0) * usual for frame in range(COUNT)]
    with pycolmap.Database.open(str(path)) as database:
        assert database.exists_matches(1, 2) and database.num_keypoints_for_image(1) > 100
    matcher = Matcher(replace(asked, zooms={name(3): 0.5}), path)
    assert [camera.focal_length for camera in matcher.cameras] == cameras(path)
    give_lenses(replace(asked, zooms={name(7): 0.8}), path)  # Lenses that are known better later take the place of these.
    assert cameras(path) == [0.8 * usual if frame == 7 else usual for frame in range(COUNT)]
    own = replace(asked, each_own=True)
    give_lenses(own, path)
    other = matcher.by_other_cameras(own)
    assert cameras(path) == [usual] * COUNT and other.job is own
    for anew in (other, Matcher(asked, path)):
        assert len({camera.camera_id for camera in anew.cameras}) == COUNT
    assert len({camera.camera_id for camera in matcher.cameras}) == 3


def with_matches(model: pycolmap.Reconstruction, folder: Path) -> Any:
    """Return a matcher whose database says that neighbours' features of the same point match."""
    path = folder / "matches.db"
    with pycolmap.Database.open(str(path)) as database:
        for first in range(1, COUNT):
            rows = [{p.point3D_id: row for row, p in enumerate(model.images[i].points2D)} for i in (first, first + 1)]
            both = sorted(rows[0].keys() & rows[1].keys())
            database.write_matches(first, first + 1, np.array([(rows[0][p], rows[1][p]) for p in both], np.uint32))
    pixels = [np.array([point.xy for point in model.images[i].points2D]) for i in range(1, COUNT + 1)]
    taken = [model.cameras[model.images[i].camera_id] for i in range(1, COUNT + 1)]
    return SimpleNamespace(path=path, ids=[*range(1, COUNT + 1)], keypoints=pixels, cameras=taken, job=job(folder))


@pytest.mark.parametrize(
    ("zooms", "several"),
    [({}, False), ({5: 1.25, 9: 1.25}, True), (dict.fromkeys(range(0, COUNT, 2), 1.22), True)],
    ids=["one lens", "two of 24", "half"],
)
def test_photographs_by_several_lenses_are_noticed(zooms: dict[int, float], several: bool, tmp_path: Path) -> None:
    model = drawn([FOCAL * zooms.get(frame, 1.0) for frame in range(COUNT)])
    assert several_lenses(with_matches(model, tmp_path), model) is several


def each_own(lengths: Sequence[float]) -> pycolmap.Reconstruction:
    """Return a model whose frames have cameras of their own."""
    model = pycolmap.Reconstruction()
    for number, length in enumerate(lengths, 1):
        params = [length, WIDTH / 2, HEIGHT / 2, 0.0]
        camera = pycolmap.Camera(camera_id=number, model="SIMPLE_RADIAL", width=WIDTH, height=HEIGHT, params=params)
        model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=name(number - 1), camera_id=number, image_id=number)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d())
    return model


def test_lenses_are_parted_where_focal_lengths_leave_a_gap() -> None:
    assert parted(each_own([500, 510, 490, 520, 505])) == {}
    wide, half = {name(1): 0.5, name(3): 0.5}, {name(0): 1.3, name(1): 1.3}
    assert parted(each_own([500, 255, 510, 245, 505, 500])) == pytest.approx(wide, abs=0.01)
    assert parted(each_own([650, 654, 500, 500, 502])) == pytest.approx(half, abs=0.01)
    assert parted(each_own([500, 530, 560, 590, 620])) == {}  # A focal length that changes by and by is no second lens.


def test_the_solution_that_explains_more_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked, one_lens = job(tmp_path), drawn([FOCAL] * COUNT)
    matcher: Any = SimpleNamespace(path=tmp_path)
    found = Solved(asked, matcher, one_lens, sense=0.6)
    lengths = [FOCAL * WIDE.get(frame, 1.0) for frame in range(COUNT)]
    known = {name(frame): pytest.approx(zoom) for frame, zoom in WIDE.items()}
    kinds = ((0.7, 0.75, True, "lenses"), (0.5, 0.65, True, "found"), (0.7, 0.8, True, "own"), (0.7, 0.8, False, "found"))
    for sense, own, several, kept in kinds:
        monkeypatch.setattr(worker, "several_lenses", lambda matcher, model, several=several: several)
        said = []

        def again(
            job: Job, database: Path, earlier: Matcher, senses: tuple[float, float] = (sense, own), said: list[Job] = said
        ) -> Solved:
            assert earlier is found.matcher
            said.append(job)
            return Solved(job, earlier, each_own(lengths), sense=senses[job.each_own])

        monkeypatch.setattr(worker, "solve", again)
        best = by_lenses(asked, tmp_path, found, Focal(None, []))
        assert (best.job.zooms == known) is (kept == "lenses") and best.job.each_own is (kept == "own")
        assert (best is found) is (kept == "found")
        assert [job.each_own for job in said] == ([True, False] if several else [])


def test_a_film_that_breathes_goes_on_with_a_camera_for_each_frame_near_the_one_it_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that zooms is solved anew, for some frames' focal lengths are far from that one, and COLMAP has to look for them."""
    asked, matcher = replace(job(tmp_path), ordered=True), SimpleNamespace(path=tmp_path)
    found = Solved(asked, matcher, drawn([FOCAL] * COUNT), sense=0.6)  # pyright: ignore[reportArgumentType]
    said: list[tuple[str, float | None]] = []
    for way in ("solve", "resumed"):
        monkeypatch.setattr(worker, way, lambda job, *_, way=way: said.append((way, job.focal)) or replace(found, sense=0.5))
    monkeypatch.setattr(worker, "by_few", lambda own: replace(own, model=None))
    for focal in (Focal(0.1, []), Focal(0.1, [], breathes=True), Focal(0.1, [(0, 9, 0.7), (10, COUNT - 1, 1.2)])):
        assert by_lenses(asked, tmp_path, found, focal) is found
    assert said == [("resumed", pytest.approx(FOCAL)), ("solve", None)]


@pytest.mark.parametrize(("explained", "lenses"), [(0.7, 1), (0.5, 2)], ids=["as much", "less"])
def test_lenses_that_settle_alike_are_one_where_no_less_is_explained(
    explained: float, lenses: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Alone, details have focal lengths that leave a gap, and none once the scene has one distortion.

    One of them got no pose by its lens, and one of another lens none either.
    """
    alone, settled = {5: 2.0, 6: 2.2, 7: 2.2, 9: 0.5}, {5: 2.05, 6: 2.1, 9: 0.5}
    tries = iter([(settled, 0.7, (7, 9)), ({5: 2.1, 6: 2.1, 7: 2.1, 9: 0.5}, explained, ())])
    said: list[dict[str, float]] = []

    def again(job: Job, database: Path, earlier: Matcher) -> Solved:
        said.append(job.zooms)
        zooms, sense, lost = next(tries)
        model = each_own([FOCAL * zooms.get(frame, 1.0) for frame in range(COUNT)])
        for frame in lost:
            model.deregister_frame(model.images[frame + 1].frame_id)
        return Solved(job, earlier, model, sense=sense)

    monkeypatch.setattr(worker, "solve", again)
    own = each_own([FOCAL * alone.get(frame, 1.0) for frame in range(COUNT)])
    matcher: Any = SimpleNamespace(path=tmp_path)
    few = by_few(Solved(job(tmp_path, each_own=True), matcher, own))
    assert few.job.ordered and not few.job.each_own  # The order of the frames has been found.
    assert said[0] == pytest.approx({name(frame): zoom for frame, zoom in alone.items()})
    assert said[1] == pytest.approx({name(5): 2.1, name(6): 2.1, name(7): 2.1, name(9): 0.5}, rel=0.02)
    assert len({said[1][name(frame)] for frame in (5, 6, 7)}) == 1 and few.job.zooms == said[2 - lenses]


@pytest.mark.parametrize(
    ("more", "lost", "zoom", "unsaid", "kept"),
    [
        (False, 0, 0.52, 0.9, "said"),
        (True, 0, 0.7, 0.9, "unsaid"),
        (True, 0, 0.5, 0.7, "said"),
        (False, 1, 0.5, 0.9, "unsaid"),
        (False, 0, 1.001, 0.7, "unsaid"),
    ],
    ids=["right", "wrong", "hard to say", "one photograph lost", "the usual lens"],
)
def test_photographs_are_taken_at_their_word_where_nothing_is_left_to_explain(
    more: bool, lost: int, zoom: float, unsaid: float, kept: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = job(tmp_path, zooms={name(3): 0.5})

    def again(job: Job, database: Path, earlier: Matcher | None = None) -> Solved:
        model = each_own([FOCAL * (zoom if frame == 3 and job.zooms else 1.0) for frame in range(COUNT)])
        for frame in range(lost if job.zooms else 0):
            model.deregister_frame(model.images[frame + 1].frame_id)
        return Solved(job, SimpleNamespace(), model, sense=0.8 if job.zooms else unsaid)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(worker, "solve", again)
    monkeypatch.setattr(worker, "several_lenses", lambda matcher, model: more)
    assert bool(as_said(asked, tmp_path).job.zooms) is (kept == "said")


def solved(asked: Job, path: Path) -> Solved:
    found = solve(asked, path)
    assert found.model is not None
    return by_lenses(asked, path, found, measure_focal_length(asked, found.model))


def test_a_photograph_of_something_else_takes_no_other_ones_camera_away(tmp_path: Path) -> None:
    """A model forgets the cameras of frames without a pose, of which each may have its own."""
    path, asked = photographs(tmp_path, {3: 0.5, 4: 0.5}), job(tmp_path)
    with sqlite3.connect(path) as database:
        (count,) = database.execute("SELECT rows FROM descriptors WHERE image_id = 8").fetchone()
        noise = np.random.default_rng(1).integers(0, 256, (count, 128), np.uint8).tobytes()
        database.execute("UPDATE descriptors SET data = ? WHERE image_id = 8", (noise,))
    database.close()
    found = solved(asked, path)
    assert found.model is not None and sorted(poses_of(asked, found.model)) == [frame for frame in range(COUNT) if frame != 7]
    assert zooms_of(found.model) == {name(3): pytest.approx(0.5, rel=0.02), name(4): pytest.approx(0.5, rel=0.02)}
    assert found.motion is not None


@pytest.mark.parametrize(
    "zoom",
    [lambda frame: 1 + 0.03 * max(frame - 5, 0), lambda frame: 1 + 0.03 * np.sin(frame * 4 * np.pi / COUNT)],
    ids=["zooms", "breathes"],
)
def test_each_frame_of_a_film_that_zooms_or_breathes_keeps_its_own_focal_length(zoom, tmp_path: Path) -> None:
    zooms = {frame: zoom(frame) for frame in range(COUNT)}
    path, asked = photographs(tmp_path, zooms), replace(job(tmp_path), ordered=True)
    found = solved(asked, path)
    assert found.model is not None and found.job.each_own
    usual = usual_lens(found.model).focal_length / FOCAL
    known = zooms_of(found.model)
    assert {frame: usual * known.get(name(frame), 1.0) for frame in range(COUNT)} == pytest.approx(zooms, rel=0.02)
    assert usual == pytest.approx(np.median(list(zooms.values())), rel=0.05)


def test_photographs_by_two_lenses_are_solved_with_a_camera_for_each(tmp_path: Path) -> None:
    """Half of the photographs are by another telephone, which bends the model that knows of one lens."""
    zooms: dict[int, float] = dict.fromkeys((0, 1, 3, 4, 5, 8, 9, 13, 16, 20, 21), 1.25)
    path, asked = photographs(tmp_path, zooms), job(tmp_path)
    found = solved(asked, path)
    assert found.model is not None
    assert zooms_of(found.model) == {name(frame): pytest.approx(zoom, rel=0.01) for frame, zoom in zooms.items()}
    distortions = {tuple(found.model.cameras[image.camera_id].params[1:]) for image in found.model.images.values()}
    assert len(distortions) == 1  # A scene has one.
    focal = measure_focal_length(asked, found.model)
    assert focal.evidence is not None and focal.evidence > 0.05 and focal.stretches == [] and focal.squeeze == 1
    poses, true = poses_of(asked, found.model), drawn([FOCAL] * COUNT)
    assert len(poses) == COUNT
    turned = [poses[frame][:, :3].T @ true.images[frame + 1].cam_from_world().rotation.matrix() for frame in range(COUNT)]
    apart = [np.degrees(np.arccos(np.clip((np.trace(turned[0].T @ turn) - 1) / 2, -1, 1))) for turn in turned]
    assert max(apart) < 1.0


@pytest.mark.parametrize("without", ["adopt", "map_by_and_by", None], ids=["by mapping", "by adopting", "misplaced"])
def test_frames_that_a_breathing_lens_has_lost_come_back_with_their_own_focal_length(
    without: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zooms = {frame: 1 + 0.03 * np.sin(frame * 4 * np.pi / COUNT) for frame in range(COUNT)}
    path, asked = photographs(tmp_path, zooms), replace(job(tmp_path), ordered=True)
    found = solve(asked, path)
    assert found.model is not None and not found.job.each_own
    for number in (11, 12):
        frame = found.model.images[number].frame_id
        if without:
            found.model.deregister_frame(frame)
        else:
            found.model.frames[frame].rig_from_world = found.model.images[1].cam_from_world()
    if without:
        monkeypatch.setattr(solving, without, lambda *given: None)
    own = resumed(replace(asked, each_own=True, focal=usual_lens(found.model).focal_length), found)
    assert own.model is not None and own.model.num_reg_images() == COUNT
    lengths = {image.name: own.model.cameras[image.camera_id].focal_length for image in own.model.images.values()}
    told = np.array([lengths[name(frame)] / zooms[frame] for frame in range(COUNT)])
    assert told / np.median(told) == pytest.approx(1, abs=0.003)
