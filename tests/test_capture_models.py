"""These tests judge drawn models of COLMAP: what hangs together, which is better, and whether the lens zoomed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("pycolmap")

import pycolmap
from drawn_models import FOCAL, drawn, name

from nerfsem_method.capture.colmap import job as colmap_job
from nerfsem_method.capture.colmap import mapping, matching, pairs, solving, worker
from nerfsem_method.capture.colmap.job import Job
from nerfsem_method.capture.colmap.mapping import DRIFTING, SETTLED, better
from nerfsem_method.capture.colmap.matching import Matcher
from nerfsem_method.capture.colmap.support import apart, drop_loose, explained, folded, held_together
from nerfsem_method.capture.colmap.zoom import Focal, measure_focal_length

COUNT = 24
STEADY = [FOCAL] * COUNT


def job(count: int = COUNT, object_alone: bool = False) -> Job:
    return Job("", "", [name(frame) for frame in range(count)], 480, None, object_alone, False, "")


def test_frames_that_points_tie_to_none_lose_their_poses() -> None:
    model = drawn(STEADY, islands=(5, 20, 21))
    assert held_together(model) == {frame + 1 for frame in range(COUNT)} - {6, 21, 22}
    drop_loose(model)
    assert model.num_reg_images() == COUNT - 3


def test_a_model_of_one_piece_keeps_all() -> None:
    model = drawn(STEADY)
    drop_loose(model)
    assert model.num_reg_images() == COUNT


def match_neighbours(path: Path, model: pycolmap.Reconstruction) -> pycolmap.TwoViewGeometry:
    """Match each frame with the next by the points that both see, and a fifth of the matches wrong; return the last geometry."""
    geometry = pycolmap.TwoViewGeometry()
    with pycolmap.Database.open(str(path)) as database:
        for first in range(1, COUNT):
            rows = [{p.point3D_id: row for row, p in enumerate(model.images[i].points2D)} for i in (first, first + 1)]
            both = sorted(rows[0].keys() & rows[1].keys())
            right = [(rows[0][point], rows[1][point]) for point in both]
            wrong = [(rows[0][point], rows[1][other]) for point, other in zip(both, both[1:], strict=False)][: len(both) // 4]
            geometry.inlier_matches = np.array(right + wrong, np.uint32)
            database.write_two_view_geometry(first, first + 1, geometry)
    return geometry


def test_more_frames_are_better_and_of_equals_more_sightings() -> None:
    whole, part, poorer = drawn(STEADY), drawn(STEADY, islands=(5,)), drawn(STEADY)
    drop_loose(part)
    for point in sorted(poorer.points3D)[::2]:
        poorer.delete_point3D(point)
    assert better(part, poorer) is poorer and better(poorer, part) is poorer
    assert better(whole, poorer) is whole and better(poorer, whole) is whole
    assert better(None, part) is part and better(part, None) is part and better(None, None) is None


def test_a_model_explains_the_matches_that_are_its_points_and_frames_apart_have_their_own(tmp_path: Path) -> None:
    model, path = drawn(STEADY), tmp_path / "database.db"
    geometry = match_neighbours(path, model)
    assert abs(explained(path, model) - 0.8) < 0.01
    for point in sorted(model.points3D)[::2]:
        model.delete_point3D(point)
    assert abs(explained(path, model) - 0.4) < 0.05
    with pycolmap.Database.open(str(path)) as database:  # A frame with a few matches is in the database, and not in the model.
        database.write_two_view_geometry(1, COUNT + 5, geometry)
    assert 0.3 < explained(path, model) < 0.4
    assert abs(explained(path, model, posed_alone=True) - 0.4) < 0.05
    for image in range(COUNT // 2, COUNT + 1):
        model.deregister_frame(model.images[image].frame_id)
    # frame 12 is tied to 11, which has a pose; the twelve others that have none are tied to each other
    assert apart(path, model, COUNT) == 12 / 13 and apart(path, model, COUNT + 11) == 12 / 24
    assert explained(path, model) < 0.25 and abs(explained(path, model, posed_alone=True) - 0.4) < 0.05


def test_a_model_is_folded_where_the_matches_of_two_neighbours_made_no_points(tmp_path: Path) -> None:
    """From the seventh on frames share other points, as where a turn is folded; in another order these are no neighbours."""
    path, names = tmp_path / "database.db", job().names
    match_neighbours(path, drawn(STEADY))
    assert not folded(path, drawn(STEADY), names)
    turned = drawn(STEADY, islands=range(6, COUNT))
    assert folded(path, turned, names)
    assert not folded(path, turned, [*names[:6], *["another.png"] * 2, *names[6:]])


def test_a_folded_model_of_all_frames_gets_a_second_opinion(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = drawn(STEADY), drawn(STEADY)
    first.delete_point3D(min(first.points3D))
    monkeypatch.setattr(mapping, "_map_globally", lambda job, database: first)
    monkeypatch.setattr(mapping, "_map_incrementally", lambda job, database, attempt: second)
    monkeypatch.setattr(mapping, "_with_all_points", lambda job, database, model: model)
    monkeypatch.setattr(mapping, "explained", lambda database, model: 0.9)
    for broken, taken in ((False, first), (True, second)):
        monkeypatch.setattr(mapping, "folded", lambda database, model, names, broken=broken: broken)
        assert mapping.map_frames(job(), Path("database.db"), "first") is taken
    for point in sorted(second.points3D)[:9]:
        second.delete_point3D(point)
    assert mapping.map_frames(job(), Path("database.db"), "first") is first
    monkeypatch.setattr(mapping, "folded", lambda database, model, names: model is first)
    assert mapping.map_frames(job(), Path("database.db"), "first") is second


def test_a_steady_lens_has_no_stretches() -> None:
    found = measure_focal_length(job(), drawn(STEADY))
    assert found.stretches == [] and found.squeeze == 1 and not found.breathes


def test_a_turn_tells_its_focal_length_and_a_few_steps_do_not() -> None:
    sure = measure_focal_length(job(), drawn(STEADY)).evidence
    part = drawn([FOCAL] * 90)
    for frame in range(6, 90):
        part.deregister_frame(part.images[frame + 1].frame_id)
    unsure = measure_focal_length(job(), part).evidence
    assert sure is not None and sure > 0.1
    assert unsure is not None and unsure < 0.3 * sure
    assert measure_focal_length(job(object_alone=True), drawn(STEADY)).evidence is None


@pytest.mark.parametrize("moment", ["all along", "in the middle"])
def test_a_zoom_is_seen_where_it_is(moment: str) -> None:
    way = np.linspace(0, 1, COUNT)
    zoom = 1 + 0.25 * (way if moment == "all along" else (way > 0.5))
    stretches = measure_focal_length(job(), drawn((FOCAL * zoom).tolist())).stretches
    assert [stretch[0] for stretch in stretches] == [0, 6, 12, 18] and stretches[-1][1] == COUNT - 1
    lengths = np.array([stretch[2] for stretch in stretches])
    true = np.array([zoom[first : last + 1].mean() for first, last, _ in stretches])
    assert np.abs(lengths / lengths[0] - true / true[0]).max() < 0.03


@pytest.mark.parametrize("wide", [1.0, 1.1, 0.75])
def test_pictures_that_were_stretched_have_pixels_that_are_not_square(wide: float) -> None:
    assert measure_focal_length(job(), drawn(STEADY, wide=wide)).squeeze == pytest.approx(1 / wide, abs=0.02)


@pytest.mark.parametrize("focal", [150.0, FOCAL])
def test_a_fisheye_is_known_where_it_is_a_wide_one(focal: float) -> None:
    """A lens of 560 pixels shows 46 degrees, in which a fisheye is hardly another lens."""
    found = [measure_focal_length(job(), drawn([focal] * COUNT, fisheye=fisheye)).fisheye for fisheye in (False, True)]
    assert found == [0, pytest.approx(focal, rel=0.07) if focal < FOCAL else 0]


def test_an_object_alone_and_a_handful_of_frames_say_nothing_of_a_zoom() -> None:
    zoomed = (FOCAL * np.linspace(1, 1.25, COUNT)).tolist()
    assert measure_focal_length(job(object_alone=True), drawn(zoomed)).stretches == []
    assert measure_focal_length(job(8), drawn(zoomed[:8])).stretches == []


def test_frames_that_are_lost_are_looked_for_among_those_that_look_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames 20 and 21 show what frames 3 and 4 show; matched with these, they are found."""
    rng = np.random.default_rng(0)
    descriptors = [rng.integers(0, 255, (60, 128), np.uint8) for _ in range(COUNT)]
    descriptors[20], descriptors[21] = descriptors[3], descriptors[4]
    matched: list[set[tuple[int, int]]] = []
    matcher: Any = SimpleNamespace(
        path=Path("database.db"), match=lambda chosen, stage: matched.append(set(chosen)), largest=lambda: descriptors
    )
    first, second = drawn(STEADY, islands=(20, 21)), drawn(STEADY)
    drop_loose(first)
    models = {"first": first, "second": second}
    monkeypatch.setattr(solving, "map_frames", lambda job, database, attempt: models[attempt])
    adopted: list[object] = []
    monkeypatch.setattr(solving, "adopt", lambda job, database, model: adopted.append(model))
    assert solving.first_model(job(), matcher).model is second
    assert matched[1] == {(3, 20), (4, 21)} and adopted == [second]


HASTE = [
    (DRIFTING, False, True, 10, 2),
    (SETTLED, False, True, 25, 3),
    (SETTLED, False, False, 25, 4),
    (DRIFTING, True, True, 25, 2),
    (SETTLED, True, True, 25, 4),
    (DRIFTING, False, False, 25, 2),
]


@pytest.mark.parametrize(("how", "alone", "dense", "iterations", "rounds"), HASTE)
def test_a_dense_clip_is_straightened_in_haste_and_settles_sooner(
    how: mapping.Rounds, alone: bool, dense: bool, iterations: int, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def refined(times: int, change: float, options: Any, adjustment: Any, triangulation: Any) -> None:
        found.append((adjustment.ceres.solver_options.max_num_iterations, times))

    monkeypatch.setattr(colmap_job, "DENSE", COUNT if dense else COUNT + 1)
    monkeypatch.setattr(mapping, "reopened", lambda *given: nullcontext(SimpleNamespace(iterative_global_refinement=refined)))
    mapping.refine(job(object_alone=alone), Path("database.db"), drawn(STEADY), how, closed=False)
    assert found == [(iterations, rounds)]


@pytest.mark.parametrize(("lost", "joined"), [(0, None), (2, None), (8, True), (8, False)])
def test_an_island_that_a_model_loses_is_sought_where_the_turn_comes_round(
    lost: int, joined: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last frame shows what the first one does; a model of all is kept if it holds together once it is closed, too."""
    rng = np.random.default_rng(0)
    descriptors = [rng.integers(0, 255, (60, 128), np.uint8) for _ in range(COUNT)]
    descriptors[-1] = descriptors[0]
    matched: list[tuple[int, int]] = []
    matcher: Any = SimpleNamespace(
        path=Path("database.db"), match=lambda chosen, stage: matched.extend(chosen), largest=lambda: descriptors
    )
    first, settled, whole = drawn(STEADY), drawn(STEADY, islands=tuple(range(lost))), drawn(STEADY)
    drop_loose(settled)
    again = whole if joined else settled
    monkeypatch.setattr(solving, "map_frames", lambda job, database, attempt: {"islands": whole}[attempt])
    monkeypatch.setattr(solving, "close", lambda job, matcher, model: (again, 5) if model is whole else None)
    assert solving.rejoined(job(), matcher, first, settled) == ((again, 5) if joined else None)
    assert matched == ([] if joined is None else [(0, COUNT - 1)])


@pytest.mark.parametrize(
    ("ordered", "drawn_by_lot", "senses", "taken"),
    [
        (True, False, {"first": 0.4}, "first"),  # a video's order is right, whatever comes of it
        (False, False, {"first": 0.75}, "first"),
        (False, False, {"first": 0.4, "ordered": 0.8}, "ordered"),
        (False, False, {"first": 0.4, "ordered": 0.3}, "first"),
        (False, True, {"ordered": 0.75}, "ordered"),
        (False, True, {"ordered": 0.4, "first": 0.5}, "first"),
        (False, True, {"ordered": 0.5, "first": 0.4}, "ordered"),
    ],
    ids=str,
)
def test_photographs_whose_model_makes_no_sense_get_another_order(
    ordered: bool, drawn_by_lot: bool, senses: dict[str, float], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of what they show is taken where its model makes more sense; pairs of one order do not spoil the other's.

    All that follows, such as pairs that close a turn, goes by that order.
    """
    models = {attempt: drawn(STEADY) for attempt in senses}
    held: set[tuple[str, str]] = set()

    class Matching:
        """This matcher holds the names of pairs in the database that all matchers share."""

        def __init__(self, job: Job, path: Path, earlier: object = None) -> None:
            self.names, self.path, self.forget = job.names, path, held.clear

        def match(self, chosen: list[tuple[int, int]], stage: str) -> None:
            held.update((self.names[a], self.names[b]) for a, b in chosen)

        def largest(self) -> list[np.ndarray]:
            return [np.zeros((0, 128), np.uint8)] * COUNT

        def common(self) -> np.ndarray:
            return np.zeros((COUNT, COUNT))

    way = [*range(0, COUNT, 2), *range(1, COUNT, 2)]
    monkeypatch.setattr(solving, "Matcher", Matching)
    monkeypatch.setattr(solving.pairs, "by_likeness", lambda common: way)
    monkeypatch.setattr(solving, "map_frames", lambda job, database, attempt: models[attempt])
    monkeypatch.setattr(solving, "explained", lambda path, model: senses[{id(m): a for a, m in models.items()}[id(model)]])
    asked = replace(job(), ordered=ordered, drawn=drawn_by_lot)
    first = solving.first_model(asked, cast(Any, Matching(asked, Path("database.db"))))
    names = [asked.names[frame] for frame in way] if taken == "ordered" else asked.names
    assert first.model is models[taken]
    assert first.job.names == first.matcher.names == names  # pyright: ignore[reportAttributeAccessIssue]
    assert held == {(names[a], names[b]) for a, b in pairs.sequential_pairs(COUNT)}


def test_what_follows_goes_by_the_order_found_and_the_result_by_the_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A turn is closed by the order of the first model; poses are saved by the job's own numbers of frames."""
    asked = replace(job(), ordered=False, work=str(tmp_path))
    found = replace(asked, names=asked.names[::-1])
    told: Any = {"median_motion": lambda: 9.0, "forget": lambda: None, "burnt_in": lambda: []}
    matcher: Any = SimpleNamespace(path=tmp_path / "database.db", **told)
    heard: dict[str, Any] = {}
    monkeypatch.setattr(worker, "extract", lambda job, database: None)
    monkeypatch.setattr(solving, "explained", lambda path, model, posed_alone: 0.9)
    monkeypatch.setattr(solving, "apart", lambda path, model, count: 0.0)
    monkeypatch.setattr(solving, "Matcher", lambda job, database, earlier: matcher)
    monkeypatch.setattr(solving, "first_model", lambda job, matcher: solving.First(found, matcher, drawn(STEADY)))
    monkeypatch.setattr(solving, "close", lambda job, matcher, model: (model, heard.update(closed=job.names) or 3))
    monkeypatch.setattr(solving, "give_lenses", lambda job, database: None)
    monkeypatch.setattr(worker, "by_lenses", lambda job, database, solved, focal: heard.update(lenses_of=job.names) or solved)

    def kept(job: Job, model: object, motion: float, closures: int, *_: object) -> None:
        heard.update(saved=job.names, motion=motion, closures=closures)

    monkeypatch.setattr(worker, "save", kept)
    worker.main(asked)
    assert heard == {"closed": found.names, "saved": asked.names, "motion": 9.0, "closures": 3, "lenses_of": asked.names}


def test_what_frames_have_in_common_is_counted_for_each_two() -> None:
    rng = np.random.default_rng(5)
    world = rng.integers(0, 256, (200, 128), np.uint8)
    shown = [world[:60], world[20:80], world[50:110], world[150:200]]
    matcher: Any = SimpleNamespace(ids=range(4), largest=lambda: shown)
    expected = np.zeros((4, 4), int)
    expected[0, 1] = expected[1, 0] = 40
    expected[0, 2] = expected[2, 0] = 10
    expected[1, 2] = expected[2, 1] = 30
    found = Matcher.common(matcher)
    assert np.array_equal(found, found.T) and abs(found - expected).max() <= 3  # A few match by chance.


def test_a_camera_that_comes_round_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames that are compared at the widest step are a whole turn apart, and show the same."""
    matcher = object.__new__(Matcher)
    matcher.job, matcher.path, matcher.ids = job(40), Path("none"), list(range(40))
    turned = [np.array([[100 * np.cos(np.pi * n / 5), 0.0], [0.0, 100 * np.sin(np.pi * n / 5)]]) for n in range(40)]
    matcher.keypoints = turned
    same = np.array([[0, 0], [1, 1]])
    database = SimpleNamespace(exists_matches=lambda a, b: True, read_matches=lambda a, b: same)
    monkeypatch.setattr(matching.pycolmap.Database, "open", lambda path: nullcontext(database))
    assert pairs.sequential_steps(40)[-1] == 10
    moved = matcher.median_motion()
    assert moved is not None and moved > 50
    matcher.keypoints = [turned[0]] * 40
    assert matcher.median_motion() == 0


@pytest.mark.parametrize(
    ("alone", "tied", "freed"), [(True, [0, 3], True), (True, [0, 0], False), (True, [2], False), (False, [0], False)]
)
def test_an_object_alone_is_seen_by_another_lens_where_its_turn_closes_by_that(
    alone: bool, tied: list[int], freed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, answers, closing = drawn(STEADY), iter(tied), []
    monkeypatch.setattr(solving, "_tie", lambda job, matcher, model: next(answers))
    for module in (solving, mapping):
        monkeypatch.setattr(module, "refine", lambda job, path, model, how, closed: closing.append((how, closed)))
    asked, matcher = job(object_alone=alone), cast(Any, SimpleNamespace(path=Path("database.db")))
    kept, count = solving.close(asked, matcher, model)
    assert (kept is not model) == freed and count == tied[-1] and next(answers, None) is None
    assert closing[-1] == (SETTLED, bool(count)) and ((DRIFTING, True) in closing) == (len(tied) == 2)
    assert kept.num_reg_images() == COUNT


@pytest.mark.parametrize(
    ("open_by", "evidence", "closed_by", "sense", "taken"),
    [
        pytest.param(0, 0.001, 9, 0.52, True, id="closes"),
        pytest.param(0, 0.001, 0, 0.9, False, id="stays open"),
        pytest.param(0, 0.001, 9, 0.44, False, id="explains less"),
        pytest.param(0, 0.001, 9, 0.46, True, id="explains nearly as much"),
        pytest.param(0, 0.001, 2, 0.9, False, id="by chance"),
        pytest.param(0, 0.1, 9, 0.9, False, id="lens known"),
        pytest.param(4, 0.0, 9, 0.9, False, id="closed already"),
    ],
)
def test_where_no_focal_length_is_told_the_usual_one_may_close_the_turn(
    open_by: int, evidence: float, closed_by: int, sense: float, taken: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = tmp_path / "database.db"
    database.write_bytes(b"what was found")
    asked, matcher = job(), cast(Any, SimpleNamespace(path=database))
    found = solving.Solved(asked, matcher, drawn(STEADY), open_by, 0.5)
    held = solving.Solved(asked, matcher, drawn(STEADY), closed_by, sense)
    jobs: list[Job] = []

    def again(job: Job, path: Path, earlier: Matcher) -> solving.Solved:
        jobs.append(job)
        path.write_bytes(b"what it matches")
        return held

    monkeypatch.setattr(worker, "solve", again)
    folds: list[object] = []

    def folded(path: Path, model: pycolmap.Reconstruction, names: list[str]) -> bool:
        assert path == (database.with_name("usual.db") if model is held.model else database)
        return model in folds

    monkeypatch.setattr(worker, "folded", folded)
    kept = worker.by_usual_lens(asked, database, found, Focal(evidence, []))
    assert kept is (held if taken else found)
    folds.append(held.model)
    assert worker.by_usual_lens(asked, database, found, Focal(evidence, [])) is found
    del jobs[1:]
    photographs = replace(asked, ordered=False)
    assert worker.by_usual_lens(photographs, database, found, Focal(evidence, [])) is found
    assert [one.held for one in jobs] == ([True] if not open_by and evidence < 0.015 else [])
    assert database.read_bytes() == b"what was found"


@pytest.mark.parametrize("closed", [True, False])
def test_a_lens_that_is_held_is_bent_and_lengthened_once_the_turn_is_closed(closed: bool) -> None:
    for asked, bent in ((job(), True), (replace(job(), usual=True), closed), (job(object_alone=True), False)):
        options = mapping.pipeline_options(asked, closed=closed)
        assert options.ba_refine_extra_params == bent
        assert options.ba_refine_focal_length == (closed or not asked.held)


@pytest.mark.parametrize("alone", [True, False])
def test_an_object_alone_keeps_the_usual_lens_whatever_a_mapper_made_of_it(alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name_of in ("triangulate", "refine"):
        monkeypatch.setattr(mapping, name_of, lambda *given, **options: None)
    model, asked = drawn(STEADY), job(object_alone=alone)
    mapping._with_all_points(asked, Path("database.db"), model)
    assert {camera.focal_length for camera in model.cameras.values()} == {1.2 * 480 if alone else FOCAL}
