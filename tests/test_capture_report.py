"""These tests say what a capture's report tells, and what the page shows of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sphere_views import ring

from nerfsem_method.capture.cameras.sparse import SparseModel
from nerfsem_method.capture.clip.blur import edge_blur, rhythm
from nerfsem_method.capture.report import facts as frame_facts
from nerfsem_method.capture.report import figures as report
from nerfsem_method.capture.report import page as report_page
from nerfsem_method.capture.report.cameras import of_fisheye
from nerfsem_method.capture.report.facts import FrameFacts, look_at_frames
from nerfsem_method.capture.report.figures import Report
from nerfsem_method.capture.report.outline import faint_share
from nerfsem_method.capture.report.page import Cloud
from nerfsem_method.media.naming import Naming
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Scene

COUNT = 12
NAMING = Naming(range(COUNT))
PHOTOGRAPHS = Naming(range(COUNT), [f"IMG_{number}.JPG" for number in range(COUNT)])


def facts(**changes: np.ndarray) -> FrameFacts:
    """Return the facts of twelve good frames, but for the changes."""
    good = {"coverage": 0.2, "blur": 0.5, "light": 100.0, "border": 0.0, "pieces": 1, "noise": 1.0, "dim": 0.05, "tones": 160.0}
    good |= {"faint": 0.02, "combs": np.nan, "redrawn": False}
    return FrameFacts(**{
        name: changes.get(name, np.full((COUNT, 2) if name == "combs" else COUNT, value)) for name, value in good.items()
    })  # fmt: skip


def model(lost: tuple[int, ...] = (), **changes: Any) -> SparseModel:
    """Return a good model in which some frames are lost, but for the changes."""
    registered = ~np.isin(np.arange(COUNT), lost)
    nothing = (np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros((0, 4)))
    camera = Intrinsics(54, 96, 112.0, 112.0, 27.0, 48.0)
    return replace(SparseModel(camera, ring(COUNT), registered, *nothing, 0.4, 5), **changes)


def warned(scene: Scene, seen: FrameFacts, solved: SparseModel | None = None, points: int = 500, *remarks: str) -> str:
    """Return all warnings in one text."""
    return " | ".join(report.summarise(scene, solved or model(), points, seen, NAMING, remarks).warnings)


@pytest.fixture
def scene(vase_scene: Scene) -> Scene:
    assert len(vase_scene.frames) == COUNT
    return vase_scene


def test_a_good_capture_has_no_warnings(scene) -> None:
    assert warned(scene, facts()) == ""


def test_inverted_mattes_are_suspected_by_the_frames_borders(scene) -> None:
    assert "invert them" in warned(scene, facts(border=np.full(COUNT, 0.95)))
    assert "invert them" not in warned(scene, facts(border=np.where(np.arange(COUNT) < 4, 0.95, 0.3)))


def test_a_zoom_is_told_and_autofocus_is_not(scene) -> None:
    zoomed = [(0, 3, 0.92), (4, 7, 1.0), (8, 11, 1.09)]
    told = warned(scene, facts(), replace(model(), stretches=zoomed))
    assert "frames 8-11 are taken with one at least 18 % longer than frames 0-3" in told


def test_photographs_by_other_lenses_are_named_where_no_zoom_is(scene) -> None:
    solved = model(lenses=[(3, 1.23), (7, 1.23), (9, 0.5)], ordered=False)
    told = " | ".join(report.summarise(scene, solved, 500, facts(), PHOTOGRAPHS).warnings)
    named = "IMG_9.JPG with 0.50 times; IMG_3.JPG, IMG_7.JPG with 1.23 times the usual focal length"
    assert f"3 photographs were taken by another lens, or cropped and enlarged: {named}; each lens has a camera" in told
    assert "1 frame was taken" in warned(scene, facts(), model(lenses=[(3, 0.5)]))
    assert "frames 3-4 with 0.50 times" in warned(scene, facts(), model(lenses=[(3, 0.5), (4, 0.5)]))
    breathing = [(frame, 0.99 + 0.01 * frame) for frame in range(6)]
    assert "frames have focal lengths from 0.99 to 1.04 times the usual one" in warned(scene, facts(), model(lenses=breathing))
    zoomed = model(lenses=[(3, 1.23)], stretches=[(0, 5, 0.9), (6, 11, 1.1)])
    assert "cropped" not in warned(scene, facts(), zoomed)


def test_details_are_expected_to_be_full_of_the_object(scene) -> None:
    chosen = np.isin(np.arange(COUNT), (2, 3))
    seen = facts(border=np.where(chosen, 0.9, 0.0), coverage=np.where(chosen, 1.0, 0.2))
    told = warned(scene, seen, model(lenses=[(2, 2.2), (3, 0.5)]))
    assert "the object leaves the frame in frame 3" in told and "take all of the frame for the object in frame 3" in told


def test_frames_are_named_by_number(scene) -> None:
    chosen = np.isin(np.arange(COUNT), (2, 3, 4, 9))
    assert "the object leaves the frame in frames 2-4, 9" in warned(scene, facts(border=np.where(chosen, 0.1, 0.0)))
    assert "what it stands on" not in warned(scene, facts(border=np.where(chosen, 0.1, 0.0)))
    assert "what it stands on was taken for a part of it" in warned(scene, facts(border=np.full(COUNT, 0.1)))
    assert "take all of the frame for the object in frames 2-4, 9" in warned(scene, facts(coverage=np.where(chosen, 1.0, 0.2)))
    assert "disagreed with all other views in frames 2-4, 9" in warned(scene, facts(redrawn=chosen))
    assert "no object in frames 2-4, 9" in warned(scene, facts(coverage=np.where(chosen, 0, 0.2)))
    assert "frames 2-4, 9 are blurred" in warned(scene, facts(blur=np.where(chosen, 3.0, 0.5)))
    assert "no camera was found for frames 2, 9; they are interpolated" in warned(scene, facts(), model((2, 9)))


def test_frames_are_named_by_their_number_in_the_clip_whatever_is_left_out(scene) -> None:
    """Of 28 frames each second one is taken, and the first two of these have no camera."""
    chosen = np.isin(np.arange(COUNT), (2, 3, 9))
    solved = model(stretches=[(2, 5, 0.9), (10, 13, 1.1)])
    seen = facts(blur=np.where(chosen, 3.0, 0.5))
    told = " | ".join(report.summarise(scene, solved, 500, seen, Naming(range(0, 28, 2)), unposed=[0, 2]).warnings)
    assert "no camera was found for frames 0, 2: left out" in told
    assert "frames 8, 10, 22 are blurred" in told
    assert "frames 20, 22, 24, 26 are taken with one at least 22 % longer than frames 4, 6, 8, 10;" in told  # rows of all frames


def test_photographs_are_named_by_their_files(scene) -> None:
    chosen = np.isin(np.arange(COUNT), (2, 4, 6, 7, 8, 10))
    summary = report.summarise(scene, model((3,)), 500, facts(border=np.where(chosen, 0.1, 0.0)), PHOTOGRAPHS)
    told = " | ".join(summary.warnings)
    assert "leaves the frame in IMG_2.JPG, IMG_4.JPG, IMG_6.JPG to IMG_8.JPG, IMG_10.JPG: film from further away" in told
    assert "no camera was found for IMG_3.JPG; it is interpolated" in told
    assert summary.naming.of_rows([5]) == "IMG_5.JPG"


def test_what_stands_still_is_told_by_its_places(scene) -> None:
    logo, title = (0.8, 0.05, 0.95, 0.1), (0.3, 0.8, 0.7, 0.85)
    told = warned(scene, facts(), model(overlays=[logo, title]))
    assert told.count("stands still") == 1
    assert "from 80% to 95% of the width and 5% to 10% of the height; from 30% to 70% of the width and 80% to" in told
    assert "; and in 2 more places: cameras were found without it" in warned(scene, facts(), model(overlays=[logo] * 6))
    in_the_corner = warned(scene, facts(), model(overlays=[(0.0, 0.0, 0.2, 0.1)]))
    assert "a logo or watermark, from 0% to 20%" in in_the_corner and "the picture takes" not in in_the_corner


def test_what_lies_around_a_film_is_told_with_the_command_that_cuts_it_off(scene) -> None:
    left, logo = (0.0, 0.0, 0.25, 1.0), (0.8, 0.05, 0.95, 0.1)
    boxes = [left, (0.0, 0.0, 1.0, 0.1), (0.0, 0.9, 1.0, 1.0), (0.75, 0.0, 1.0, 1.0)]
    told = warned(scene, facts(), model(overlays=boxes))
    assert "takes from 25% to 75% of the width and 10% to 90% of the height" in told and told.count("stands still") == 1
    assert "-vf 'crop=iw*0.500:ih*0.800:iw*0.250:ih*0.100' NEW" in told
    assert "crop the photographs" in " ".join(report.summarise(scene, model(overlays=boxes), 500, facts(), PHOTOGRAPHS).warnings)
    told = warned(scene, facts(), model(overlays=[left, logo]))
    assert "crop=iw*0.750:ih*1.000:iw*0.250:ih*0.000" in told and "from 80% to 95% of the width" in told


def test_mattes_whose_outline_nothing_shows_are_doubted(scene) -> None:
    assert "along 40% of the mattes' outline" in warned(scene, facts(faint=np.full(COUNT, 0.4)))
    assert warned(scene, facts(faint=np.where(np.arange(COUNT) < 4, 0.4, 0.02))) == ""
    assert warned(scene, facts(faint=np.full(COUNT, np.nan))) == ""


def test_an_outline_is_as_faint_in_a_larger_picture_of_the_same() -> None:
    """Its edge is soft, as most are in large pictures, and a third of it has hardly any contrast."""
    disc = cv2.circle(np.zeros((600, 960), np.uint8), (480, 300), 200, (255,), -1)
    soft = cv2.GaussianBlur(disc, (0, 0), 1.5).astype(np.float32) / 255
    contrast = np.where(np.arange(960) < 380, 3, 24)
    picture = np.stack([np.round(90 + contrast * soft).astype(np.uint8)] * 3, -1)
    shares = [
        faint_share(*(cv2.resize(one, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC) for one in (picture, disc)))
        for times in (1, 2, 4)
    ]
    assert shares[0] == pytest.approx(0.33, abs=0.06) and shares == pytest.approx(shares[:1] * 3, abs=0.03)


@pytest.mark.parametrize("size", [(120, 160), (60, 80)])
def test_an_outline_is_faint_where_both_sides_have_one_colour(size: tuple[int, int]) -> None:
    """The right half of the ground is as dark as the disc, but for noise."""
    ground = np.full((120, 160, 3), 40, np.uint8)
    ground[:, :80] = (40, 160, 200)
    disc = cv2.circle(np.zeros((120, 160), np.uint8), (80, 60), 40, (255,), -1)
    grain = np.random.default_rng(0).integers(0, 3, (120, 160, 3)).astype(np.uint8)
    picture = np.where(disc[..., None] > 0, np.uint8(40), ground) + grain
    matte = cv2.resize(disc, size[::-1])
    assert faint_share(picture, matte) == pytest.approx(0.5, abs=0.05)
    assert faint_share(np.where(disc[..., None] > 0, picture, 200).astype(np.uint8), matte) == 0
    assert [np.isnan(faint_share(picture, np.full(size, level, np.uint8))) for level in (255, 0)] == [True, True]


@pytest.mark.parametrize("apart", [0.2, 1.0])
def test_a_part_of_the_clip_that_is_another_one_is_called_so(scene, apart: float) -> None:
    found = report.summarise(scene, replace(model(), apart=apart), 2000, facts(), Naming(range(17)), unposed=[14, 15, 16])
    told = found.warnings[0]
    assert told.startswith("no camera was found for frames 14-16: left out") and ("another object" in told) == (apart > 0.5)
    assert bool(found.likely) == (apart > 0.5)


def test_what_is_wrong_with_parts_is_told_instead_of_a_zoom(scene) -> None:
    zoomed = replace(model(), stretches=[(0, 3, 0.92), (4, 7, 1.0), (8, 11, 1.09)])
    found = report.summarise(scene, zoomed, 500, facts(), NAMING, bars="frames 8-11 lie between black bars")
    assert found.warnings == [found.likely] == ["frames 8-11 lie between black bars"]


def test_bars_are_told_once_where_frames_have_no_camera(scene) -> None:
    bars = "frames 8-11 lie between black bars"
    lost, told = report.summarise(scene, model(), 500, facts(), Naming(range(17)), unposed=[14, 15, 16], bars=bars).warnings
    assert told == bars and lost.startswith("no camera was found for frames 14-16") and bars not in lost


def test_what_is_wrong_throughout_is_said_once(scene) -> None:
    assert "the whole clip is blurred" in warned(scene, facts(blur=np.full(COUNT, 2.5)))
    assert "2 separate pieces" in warned(scene, facts(pieces=np.full(COUNT, 2)))
    assert "full of noise (9 grey levels)" in warned(scene, facts(noise=np.full(COUNT, 9.0)))
    assert "40% of the median frame is nearly dark" in warned(scene, facts(dim=np.full(COUNT, 0.4)))
    assert "factor of 3.0" in warned(scene, facts(light=np.repeat([50.0, 150.0], COUNT // 2)))


def test_the_cameras_are_judged(scene) -> None:
    assert "its end was not recognised" in warned(scene, facts(), model(closures=0))
    assert "fit the frames badly" in warned(scene, facts(), model(reprojection_error=2.0))
    assert "within 45 of 255 grey levels" in warned(scene, facts(tones=np.full(COUNT, 45.0)))
    assert "only 40% of what frames have in common" in warned(scene, facts(), model(explained=0.4))
    assert "film the object larger" in warned(scene, facts(), model(explained=0.4, region="object"))
    assert "larger" not in warned(scene, facts(), model(explained=0.4))
    assert "in common" not in warned(scene, facts(), model(explained=0.5))  # a film's frames are in order
    for other in (model(explained=0.5, ordered=False), model(explained=0.5, region="object")):
        assert "only 50% of what frames have in common" in warned(scene, facts(), other)
    assert "a usual lens was taken" in warned(scene, facts(), model(region="object", closures=0))
    assert "the focal length can hardly be told" in warned(scene, facts(), model(focal_evidence=0.005))
    assert "pixels seem to be 0.75 times as wide" in warned(scene, facts(), model(squeeze=0.75))
    assert warned(scene, facts(), model(squeeze=1.02)) == ""


def test_a_fisheye_is_told_with_the_command_that_makes_its_pictures_flat() -> None:
    """The camera has 54x96 pixels, the clip other ones, of which the command makes an even number."""
    (told,) = of_fisheye(model(fisheye=30.0), 271, 481, NAMING)
    assert "v360=fisheye:flat:ih_fov=103.1:iv_fov=183.3:h_fov=84.0:v_fov=116.0:w=270:h=480 NEW" in told
    assert of_fisheye(model(), 271, 481, NAMING) == []
    assert "straighten the photographs" in of_fisheye(model(fisheye=30.0), 271, 481, PHOTOGRAPHS)[0]


def test_half_pictures_that_were_scaled_are_told(scene) -> None:
    assert "interlaced ones that were scaled" in warned(scene, facts(combs=np.tile([1.4, 0.33], (COUNT, 1))))


def test_where_a_film_is_torn_is_said_of_films_alone(scene) -> None:
    """Frames see what the one before sees, but the seventh and the twelfth begin anew; then the eleventh has no camera."""
    begun = [frame // 6 + 3 * (frame == 11) for frame in range(COUNT)]
    views = np.array([[point + 100 * begun[frame], frame, 9.0, 9.0] for frame in range(COUNT) for point in range(40)])
    torn = model(views=views, points=np.zeros((700, 3)), colours=np.zeros((700, 3), np.uint8))
    assert "hardly anything of frames 6, 11 is seen in the frame before" in warned(scene, facts(), torn)
    assert "hardly anything" not in warned(scene, facts(), replace(torn, ordered=False))
    lost = replace(torn, views=views[views[:, 1] != 10], registered=np.arange(COUNT) != 10)
    assert "hardly anything of frame 6 is seen" in warned(scene, facts(), lost)


def test_cameras_that_circle_something_else_are_noticed(scene) -> None:
    def beside(pose: np.ndarray) -> np.ndarray:
        return np.column_stack([pose[:, :3], pose[:, 3] - pose[:, 0]])  # the camera moves by an edge of the box along x

    frames = tuple(replace(frame, cam_from_world=beside(frame.cam_from_world)) for frame in scene.frames)
    assert "circle a point beside the object" in warned(replace(scene, frames=frames), facts())
    half = tuple(replace(frame, cam_from_world=frames[place // 2].cam_from_world) for place, frame in enumerate(frames))
    assert "circle a point" not in warned(replace(scene, frames=half), facts())  # There a camera that pans aside looks past it.


def test_cameras_that_look_above_a_flat_object_circle_it(scene) -> None:
    """The cameras rise by as much as the box is wide: the object lies low in their pictures, as a coin on a table does."""

    def above(pose: np.ndarray) -> np.ndarray:
        return np.column_stack([pose[:, :3], pose[:, 3] - pose[:, 2]])

    frames = tuple(replace(frame, cam_from_world=above(frame.cam_from_world)) for frame in scene.frames)
    assert "circle a point" not in warned(replace(scene, frames=frames), facts())


def test_half_a_turn_is_told_in_degrees(scene) -> None:
    half = replace(scene, frames=scene.frames[: COUNT // 2])
    text = " | ".join(report.summarise(half, replace(model(), registered=np.ones(6, bool)), 500, facts(), NAMING).warnings)
    assert re.search(r"cover 1[78]\d of 360 degrees", text)


def filmed(rate: float, blended: bool) -> list[float]:
    """Return the blur of 40 pictures of a pattern that moves four pixels from one filmed frame to the next, at another rate."""
    cells = np.random.default_rng(1).integers(30, 220, (17, 134))
    wide = cv2.GaussianBlur(np.kron(cells, np.ones((12, 12))), (0, 0), 1.2)

    def shown(place: float) -> np.ndarray:
        return wide[:200, int(4 * place) : int(4 * place) + 240]

    def mixed(place: float) -> np.ndarray:
        return (1 - place % 1) * shown(place // 1) + place % 1 * shown(place // 1 + 1)

    places = np.arange(40) * rate
    return [edge_blur((mixed(place) if blended else shown(place)).astype(np.uint8)) for place in places]


def test_blended_frames_are_told_by_their_rhythm(scene) -> None:
    """Of 24 frames a second 30 are made, which are mixtures of two but for each fifth; of 15 frames 30 by mixing each second."""
    assert rhythm(np.array(filmed(0.8, True))) == 5 and rhythm(np.array(filmed(0.5, True))) == 2
    assert rhythm(np.array(filmed(0.8, False))) is None is rhythm(np.array(filmed(1.0, True)))
    rng = np.random.default_rng(2)
    assert rhythm(rng.uniform(0.5, 1.5, 60)) is None and rhythm(np.zeros(3)) is None
    assert sum(rhythm(rng.uniform(0.5, 1.5, count)) is not None for count in (12, 20, 40) for _ in range(100)) < 12
    assert "every 2 frames anew" in warned(scene, facts(blur=np.where(np.arange(COUNT) % 2 == 0, 0.3, 1.0)))


@pytest.mark.parametrize(("degrees", "count"), [(360, 60), (200, 40), (15, 9)])
def test_a_turn_is_measured(degrees, count) -> None:
    angles = np.radians(np.linspace(0, degrees, count, endpoint=degrees < 360)) + 3.0
    covered = report.turn(np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1))
    assert abs(covered - degrees) < 7


def test_the_blur_of_an_edge_is_measured_in_pixels() -> None:
    import cv2

    rng = np.random.default_rng(0)
    sharp = np.kron(rng.integers(40, 220, (30, 20)), np.ones((16, 16))).astype(np.uint8)
    noise = rng.normal(0, 3, sharp.shape)
    for sigma in (1.5, 3.0):
        soft = np.clip(cv2.GaussianBlur(sharp, (0, 0), sigma) + noise, 0, 255).astype(np.uint8)
        assert abs(edge_blur(soft) - sigma) < 0.25 * sigma
    shaken = cv2.blur(sharp, (13, 1))
    assert edge_blur(sharp) < 1.0 < 2.0 < edge_blur(shaken)


def test_a_picture_of_nothing_is_not_blurred() -> None:
    assert edge_blur(np.full((64, 48), 90, np.uint8)) == 0.0


def test_the_page_calls_photographs_by_names_that_are_text_alone(scene) -> None:
    hostile = Naming(range(COUNT + 6), ["<script>.jpg", "a\"b\x1b.jpg", *PHOTOGRAPHS.files[2:], *(f"{i}<i>" for i in range(6))])
    summary = report.summarise(scene, model((4,)), 500, facts(), hostile, unposed=range(COUNT, COUNT + 6))
    text = report_page.page(scene, summary, Cloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8)))
    assert "<title>IMG_4.JPG, interpolated</title>" in text and "<figcaption>IMG_4.JPG interpolated</figcaption>" in text
    assert "<script" not in text and "&lt;script&gt;.jpg" in text
    assert ", 3&lt;i&gt;, 4&lt;i&gt;, " in text and 'a"b' not in text and "\x1b" not in text


@pytest.fixture
def page(scene) -> str:
    summary = report.summarise(scene, model((4,)), 500, facts(), NAMING)
    cloud = Cloud(np.full((5, 3), 0.5), np.full((5, 3), 200, np.uint8))
    return report_page.page(scene, summary, cloud)


def test_the_page_holds_all_it_shows(page) -> None:
    assert page.count("<img") == COUNT
    assert all(address.startswith("data:image/jpeg;base64,") for address in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "<script" not in page and "http" not in page and "url(" not in page


def test_the_page_draws_every_camera_twice_and_marks_the_lost_one(page) -> None:
    assert len(re.findall("<title>frame ", page)) == 2 * COUNT
    assert page.count("<title>frame 4, interpolated</title>") == 2
    assert "No camera was found for frame 4; it is interpolated." in page
    assert "nan" not in "".join(re.findall("<svg.*?</svg>", page))


def test_the_page_is_the_same_wherever_the_folder_lies(scene, vase_copy, page) -> None:
    summary = report.summarise(vase_copy, model((4,)), 500, facts(), NAMING)
    cloud = Cloud(np.full((5, 3), 0.5), np.full((5, 3), 200, np.uint8))
    assert report_page.page(vase_copy, summary, cloud) == page


def test_a_hostile_name_stays_text(scene) -> None:
    named = replace(scene, video=replace(scene.video, name="<b>&.mp4"))
    summary = Report(COUNT, [], "frame", 1, 0.4, 100.0, 0, 360.0, [0.1] * COUNT, [0.1] * COUNT, [])
    text = report_page.page(named, summary, Cloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8)))
    assert "&lt;b&gt;&amp;.mp4" in text and "<b>&.mp4" not in text


def test_frames_are_told_as_they_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, told = np.random.default_rng(0), []
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 256, (48, 64), np.uint8))
    mattes = np.full((3, 24, 32), 255, np.uint8)
    look_at_frames(paths, mattes, mattes, [None] * 3, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    mattes[:, 6:18, 8:24] = 0
    seen = [look_at_frames(paths, 255 - mattes, mattes, [None] * 3, lambda *_: None, cut_out) for cut_out in (False, True)]
    assert [bool(np.isfinite(one.faint).any()) for one in seen] == [True, False]
    monkeypatch.setattr(frame_facts, "LOOKS", 2)
    some = look_at_frames(paths, 255 - mattes, mattes, [None] * 3, lambda *_: None)
    for looked in (some.faint, some.combs[:, 0]):  # Of a long film some frames are looked at.
        assert np.isfinite(looked).tolist() == [True, False, True]


def test_a_picture_that_fills_nothing_of_its_frame_touches_no_border(tmp_path: Path) -> None:
    """A lens that looks aside may leave out all that the usual one sees."""
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path in paths:
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8))
    mattes = np.full((4, 24, 32), 255, np.uint8)
    mattes[3, :, 16:] = 0
    windows = [(1.0, 0.0, 1.0, 1.0), (0.0, 0.501, 1.0, 0.502), None, (0.0, 0.0, 0.5, 1.0)]
    border = look_at_frames(paths, mattes, mattes, windows, lambda *_: None).border
    assert border.tolist() == [0, 0, 1, 1]
