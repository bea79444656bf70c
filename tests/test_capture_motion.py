"""These tests say whether a clip's background stands still, and which of its frames carry the motion."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from nerfsem_method.capture.clip import keyframes, motion
from nerfsem_method.capture.clip.motion import Motion
from nerfsem_method.capture.mattes.moving import BEYOND, OUTSIDE, Moving, missed_share
from nerfsem_method.media.pictures import write_picture

RNG = np.random.default_rng(0)
BACKGROUND = RNG.integers(0, 255, (120, 400)).astype(np.uint8)
OBJECT = RNG.integers(0, 255, (60, 400)).astype(np.uint8)
VESSEL = np.zeros((120, 80), bool)
VESSEL[30:84, 20:60] = VESSEL[84:90, 26:54] = True  # It is narrower below, as most things are, or a tin can seen from above.


def clip(camera_step: int, object_step: int) -> Motion:
    """Return a patterned object before a patterned background, each with its own motion in pixels a frame, and some noise."""
    frames = []
    for i in range(motion.SAMPLES):
        picture = BACKGROUND[:, camera_step * i : camera_step * i + 80].astype(float)
        picture[VESSEL] = OBJECT[:, object_step * i : object_step * i + 40][VESSEL[30:90, 20:60]]
        frames.append(np.clip(picture + RNG.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    return Motion(np.stack(frames))


def test_a_turning_object_before_a_still_background_is_a_turntable() -> None:
    seen = clip(0, 7)
    assert seen.turntable is True and not seen.nothing  # COLMAP's process reads it as JSON, which knows no other truth.
    region = seen.region()
    assert region[32:82, 22:58].all()
    assert region[:20].sum() + region[:, :10].sum() == 0


@pytest.mark.parametrize("visitor", [False, True])
def test_what_turns_is_where_things_move_and_its_plain_foot_may_lie_below(visitor: bool, tmp_path: Path) -> None:
    """A handle shows on one side now and then, the foot shows no change, and a tall visitor passes by once."""
    for i, picture in enumerate(clip(0, 7).samples):
        if visitor and i == 5:
            picture[:, 72:] = 0
        if i % 8 == 2:
            picture[50:66, 60:70] = OBJECT[:16, :10]
        picture[90:100, 30:50] = 255
        write_picture(tmp_path / f"{i:06d}.png", cv2.resize(picture, (160, 240), interpolation=cv2.INTER_NEAREST))
    moving = Moving.of(sorted(tmp_path.glob("*.png")))
    assert moving is not None
    against = moving.against((80, 120))
    assert against[34:86, 24:56].max() == 0 and against[54:62, 62:68].max() == 0
    assert (against[96:, :60] == BEYOND).all() and (against[:20, :60] == BEYOND).all()
    assert (against[34:86, :12] == OUTSIDE).all() and ((against[40:80, 74:] == 0).all() if visitor else True)


def test_mattes_that_miss_what_moves_are_known(tmp_path: Path) -> None:
    for i, (turning, walking) in enumerate(zip(clip(0, 7).samples, clip(5, 7).samples, strict=True)):
        for kind, picture in (("turning", turning), ("walking", walking)):
            (tmp_path / kind).mkdir(exist_ok=True)
            write_picture(tmp_path / kind / f"{i:06d}.png", picture)
    turning, walking = (sorted((tmp_path / kind).glob("*.png")) for kind in ("turning", "walking"))
    vessel = np.stack([VESSEL * np.uint8(255)] * 2)
    foot = np.where(np.arange(120)[:, None] < 66, 0, vessel).astype(np.uint8)
    assert missed_share(turning, vessel) < 0.2 and missed_share(turning, foot[:, ::2, ::2]) == pytest.approx(0.6, abs=0.1)
    assert missed_share(walking, foot) == 0


def test_where_nothing_moves_nothing_is_said(tmp_path: Path) -> None:
    for i, picture in enumerate(clip(0, 0).samples):
        write_picture(tmp_path / f"{i:06d}.png", picture)
    assert Moving.of(sorted(tmp_path.glob("*.png"))) is None


@pytest.mark.parametrize("left", [0, 20])
def test_a_film_within_a_still_screen_is_no_turntable(left: int) -> None:
    frames = clip(0, 0).samples.copy()
    for i, frame in enumerate(frames):
        frame[12:108, left : left + 50] = BACKGROUND[12:108, 5 * i : 5 * i + 50]
        frame[92:98, left + 20 : left + 32] = OBJECT[:6, :12]  # A watermark in the film is told of, too.
    seen = Motion(frames)
    assert seen.window == pytest.approx((left / 80, 0.1, (left + 50) / 80, 0.9), abs=0.02) and not seen.turntable
    assert seen.before_still == (left > 0)  # Who knows better may say that the object turns alone.
    *around, mark = seen.overlays()
    assert around == motion.beside(seen.window or (0, 0, 0, 0)) and len(around) == (4 if left else 3)
    assert mark == pytest.approx(((left + 20) / 80, 92 / 120, (left + 32) / 80, 98 / 120), abs=0.05)


def test_films_have_no_window_where_they_fill_the_frame_or_something_small_moves() -> None:
    small = clip(0, 0).samples.copy()
    small[:, 40:48, 30:38] = RNG.integers(0, 255, (len(small), 8, 8))
    assert [seen.window for seen in (clip(5, 7), clip(0, 7), clip(0, 0), Motion(small))] == [None] * 4


def test_a_moving_camera_is_no_turntable() -> None:
    seen = clip(5, 5)
    assert not seen.turntable and not seen.nothing


def test_a_still_clip_is_told_from_both() -> None:
    seen = clip(0, 0)
    assert seen.nothing and not seen.turntable


def test_a_blank_wall_is_no_still_background() -> None:
    frames = clip(0, 7).samples.copy()
    frames[:, :30], frames[:, 90:], frames[:, :, :20], frames[:, :, 60:] = 128, 128, 128, 128
    assert Motion(frames).still_edges < 0.3  # only the rim of the object has edges there


def test_a_logo_burnt_into_moving_frames_is_found_where_it_is() -> None:
    frames = clip(5, 7).samples.copy()
    frames[:, 96:112, 60:76] = RNG.integers(0, 255, (16, 16))
    ((left, top, right, bottom),) = Motion(frames).overlays()
    assert left == pytest.approx(60 / 80, abs=0.05) and right == pytest.approx(76 / 80, abs=0.05)
    assert top == pytest.approx(96 / 120, abs=0.05) and bottom == pytest.approx(112 / 120, abs=0.05)
    assert not Motion(frames).turntable


def test_a_large_title_before_a_moving_camera_is_no_turntable() -> None:
    frames = clip(5, 7).samples.copy()
    frames[:, 90:114, 4:76] = RNG.integers(0, 255, (24, 72))
    assert not Motion(frames).turntable and len(Motion(frames).overlays()) == 1


@pytest.mark.parametrize("rows", [slice(0, 12), slice(108, 120)])
def test_black_bars_are_no_picture(rows: slice) -> None:
    frames = clip(5, 7).samples.copy()
    frames[:, rows] = 16
    boxes = Motion(frames).overlays()
    assert (0.0, rows.start / 120, 1.0, rows.stop / 120) in [tuple(round(edge, 6) for edge in box) for box in boxes]


def test_bars_on_all_sides_are_bars() -> None:
    frames = np.zeros((motion.SAMPLES, 180, 320), np.uint8)
    shown = np.stack([BACKGROUND[:, 5 * i : 5 * i + 96] for i in range(motion.SAMPLES)])
    frames[:, 20:160, 112:208] = shown.repeat(2, 1)[:, :140]
    assert {tuple(np.round(box, 2)) for box in Motion(frames).overlays()} == {
        (0, 0, 1, 0.11), (0, 0.89, 1, 1), (0, 0, 0.35, 1), (0.65, 0, 1, 1)
    }  # fmt: skip


def test_a_black_ground_is_no_bar() -> None:
    vessel = cv2.ellipse(np.zeros((120, 80), np.uint8), (40, 60), (25, 40), 0, 0, 360, (1,), -1) > 0
    frames = np.where(vessel, clip(5, 5).samples, np.uint8(8))
    assert Motion(frames).overlays() == []


def disturbed(kind: str, frames: np.ndarray) -> np.ndarray:
    """Return frames, some of which show something else: two at the most."""
    frames = frames.copy()
    if kind == "fades":
        frames[0], frames[-1] = 0, 0
    elif kind == "a flash":
        frames[7] = 255
    elif kind == "title cards":
        frames[[0, 8]] = np.where(RNG.random(frames[0].shape) > 0.9, 235, 20)
    return frames


DISTURBANCES = ["nothing", "fades", "a flash", "title cards"]


@pytest.mark.parametrize("kind", DISTURBANCES)
def test_bars_of_unequal_heights_are_found_whatever_else_is_shown(kind: str) -> None:
    frames = clip(5, 7).samples.copy()
    frames[:, :18], frames[:, 110:] = 16, 20
    boxes = [tuple(round(edge * 120) for edge in box) for box in Motion(disturbed(kind, frames)).overlays()]
    assert (0, 0, 120, 18) in boxes and (0, 110, 120, 120) in boxes


@pytest.mark.parametrize("kind", DISTURBANCES)
def test_a_logo_is_found_whatever_else_is_shown(kind: str) -> None:
    frames = clip(5, 7).samples.copy()
    frames[:, 96:112, 60:76] = RNG.integers(0, 255, (16, 16))
    ((left, top, *_),) = Motion(disturbed(kind, frames)).overlays()
    assert left > 0.7 and top > 0.75


def test_bars_at_the_sides_of_a_film_held_upright_are_found() -> None:
    frames = clip(5, 7).samples.copy()
    frames[:, :, :10], frames[:, :, 66:] = 16, 16
    lefts = {(round(80 * box[0]), round(80 * box[2])) for box in Motion(frames).overlays()}
    assert {(0, 10), (66, 80)} <= lefts


@pytest.mark.parametrize("kind", DISTURBANCES[1:])
def test_frames_that_show_something_else_are_no_overlay(kind: str) -> None:
    assert Motion(disturbed(kind, clip(5, 7).samples)).overlays() == []


def test_the_changing_digits_of_a_timecode_leave_the_still_ones() -> None:
    frames = clip(5, 7).samples.copy()
    frames[:, 100:112, 4:36] = RNG.integers(0, 2, (12, 32)) * 255
    frames[:, 100:112, 36:48] = RNG.integers(0, 2, (len(frames), 12, 12)) * 255
    boxes = Motion(frames).overlays()
    assert len(boxes) == 1 and boxes[0][0] < 0.1 and boxes[0][1] > 0.75


def test_a_clip_without_overlays_has_none() -> None:
    assert clip(5, 7).overlays() == [] == clip(0, 7).overlays() == clip(0, 0).overlays()


def test_keyframes_are_evenly_spread_over_the_motion_and_sharp() -> None:
    way = np.concatenate([np.zeros(50), np.linspace(0, 100, 200)])  # the camera waits, then walks
    detail = np.ones(250)
    detail[60:250:10] = 2.0
    chosen = keyframes.spread(way, detail, 20)
    assert chosen[0] == 0 and chosen[-1] == 249
    assert 19 <= len(chosen) <= 22
    assert sum(i < 50 for i in chosen) <= 2
    walking = np.array([i for i in chosen[2:-1]])
    assert (walking % 10 == 0).all()
    assert np.diff(walking).max() <= 20


def test_no_gap_is_wide_where_motion_is_not_seen() -> None:
    """Along a blank stretch the camera walks on, and the measured way does not."""
    way = np.concatenate([np.linspace(0, 100, 150), np.full(100, 100.0), np.linspace(100, 200, 150)])
    chosen = keyframes.spread(way, np.ones(400), 100)
    assert np.diff(chosen).max() <= 400 / 100 / keyframes.REGULAR + 1


def test_a_clip_without_any_motion_still_gives_keyframes() -> None:
    chosen = keyframes.spread(np.zeros(30), np.ones(30), 10)
    assert chosen[0] == 0 and chosen[-1] == 29 and len(chosen) >= 10


def panorama(folder: Path, places: Iterable[int]) -> list[Path]:
    """Write pictures that show a wide one from these places on, three pixels apart, and return the files."""
    wide = cv2.resize(BACKGROUND, None, fx=12, fy=12, interpolation=cv2.INTER_CUBIC)
    frames = []
    for number, place in enumerate(places):
        frames.append(folder / f"{number:03}.png")
        write_picture(frames[-1], wide[:240, 3 * place : 3 * place + 320])
    return frames


@pytest.mark.parametrize(("drawn", "ordered"), [(False, False), (True, False), (True, True)])
def test_photographs_in_no_order_are_all_keyframes(drawn: bool, ordered: bool, tmp_path: Path) -> None:
    """What lies between two keyframes is tracked from them, which needs an order; a video has one, whatever it shows.

    What jumps about is a long way, too, of which a video has as many keyframes.
    """
    count = keyframes.APART + 1
    frames = panorama(tmp_path, RNG.permutation(count) if drawn else range(count))
    found = keyframes.keyframes(frames, ordered)
    tries = found.tries
    assert found.drawn is (drawn and not ordered)
    assert (tries[0] == list(range(count))) is drawn
    assert (tries[-1] == list(range(count))) is (drawn or not ordered)  # The names of photographs may be right in parts.


def test_more_keyframes_are_at_hand_where_the_first_are_too_few(tmp_path: Path) -> None:
    """A film's keyframes are as far apart as its motion asks for; those of photographs and turntables are not so few."""
    frames = panorama(tmp_path, range(140))
    few, more, everything = keyframes.keyframes(frames).tries
    assert keyframes.FEWEST <= len(few) <= 1.1 * keyframes.FEWEST and keyframes.MOST <= len(more) <= 1.1 * keyframes.MOST
    assert everything == list(range(140))
    at_once = keyframes.Keyframes([everything])
    assert keyframes.keyframes(frames, ordered=False) == at_once == keyframes.keyframes(frames, object_alone=True)
    assert keyframes.keyframes(frames[:90]).tries == [list(range(90))]
    few, more = keyframes.keyframes(frames[:110]).tries
    assert len(few) < 85 and more == list(range(110))


def test_a_wide_way_has_more_keyframes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keyframes, "_step", lambda before, after: keyframes.STRIDE * 90 / 139)
    few, everything = keyframes.keyframes(panorama(tmp_path, range(140))).tries
    assert 88 <= len(few) <= 95 and len(everything) == 140


def keyframes_of_a_film(monkeypatch: pytest.MonkeyPatch, count: int, step: float) -> keyframes.Keyframes:
    """Return the keyframes of a film whose frames are `step` pixels apart."""
    monkeypatch.setattr(keyframes, "small", lambda path: np.zeros((8, 8), np.uint8))
    monkeypatch.setattr(keyframes, "_step", lambda before, after: step)
    return keyframes.keyframes([Path(f"{number}.png") for number in range(count)])


def test_keyframes_of_several_turns_are_more_and_reach_less_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is 1200 pixels long: its keyframes are no more than 10 degrees apart, and compared up to 50 degrees."""
    one = keyframes_of_a_film(monkeypatch, 300, 4)
    assert len(one.tries[0]) <= 1.1 * keyframes.FEWEST and one.reach(one.tries[0]) == 0
    five = keyframes_of_a_film(monkeypatch, 1500, 4)
    assert 6000 / len(five.tries[0]) <= keyframes.WIDEST and 4 <= five.reach(five.tries[0]) <= 6
    many = keyframes_of_a_film(monkeypatch, 6000, 4)
    assert len(many.tries[0]) <= keyframes.UTMOST + 2 and many.reach(many.tries[0]) == 2


def test_photographs_are_compared_as_far_as_ever() -> None:
    assert keyframes.Keyframes([list(range(60))]).reach(list(range(60))) == 0


def test_a_small_picture_is_read_once_and_anew_when_its_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    write_picture(path, np.full((700, 400), 90, np.uint8))
    first = motion.small(path)
    assert first.shape == (320, 183) and (first == 90).all() and motion.small(path) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1
    write_picture(path, np.full((700, 400), 30, np.uint8))
    os.utime(path, ns=(0, 10**9))
    assert (motion.small(path) == 30).all()
