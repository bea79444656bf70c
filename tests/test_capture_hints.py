"""These tests say which boxes of a user are accepted, and what they contain."""

from __future__ import annotations

import numpy as np
import pytest
from sphere_views import CAMERA, ring

from nerfsem_method.capture.mattes.hints import ObjectBox
from nerfsem_method.errors import CaptureError
from nerfsem_method.media.naming import Naming
from nerfsem_method.scene.camera import FrameCameras


def test_pixels_become_shares_of_the_frame() -> None:
    assert ObjectBox.parse("100,0,300,200", 400, 800) == ObjectBox(0, (0.25, 0.0), (1.0, 0.25))
    assert ObjectBox.parse("0,0,400,800@17", 400, 800).called == "17"


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "-1,0,5,5", "0,0,10,10@", "1.5,0,10,10", "0,0,10,10@-1"])
def test_what_is_no_box_is_said(text: str) -> None:
    with pytest.raises(CaptureError, match="--object-box .* is no box; give x,y,w,h"):
        ObjectBox.parse(text, 400, 800)


@pytest.mark.parametrize("text", ["0,0,401,10", "390,0,20,10", "0,0,0,10", "0,795,10,10"])
def test_a_box_must_lie_in_the_frame(text: str) -> None:
    with pytest.raises(CaptureError, match="does not lie in the 400x800 frame"):
        ObjectBox.parse(text, 400, 800)


def test_points_are_looked_up_in_the_frame_of_the_box() -> None:
    poses = ring()
    box = ObjectBox(2, (0.4, 0.4), (0.6, 0.6))
    away = poses[2, 0, :3] * 0.5  # that frame shows it to the right
    behind = -4 * poses[2, 2, :3]
    assert box.shows(np.stack([np.zeros(3), away, behind]), FrameCameras(CAMERA, poses)).tolist() == [True, False, False]


def test_where_a_box_ends_at_the_border_the_object_goes_on() -> None:
    cameras, box = FrameCameras(CAMERA, ring()), ObjectBox(2, (0.0, 0.3), (1.0, 0.7))
    right, down, ahead = cameras.poses[2, :, :3]
    beside, below, behind = 1.5 * right, 0.7 * down, -4 * ahead
    seen = box.shows(np.stack([beside, -beside, below, behind]), cameras)
    assert seen.tolist() == [True, True, False, False]
    assert cameras.project(beside, 2)[0][0] > CAMERA.width


def test_a_box_keeps_to_its_frame_when_others_are_left_out() -> None:
    box = ObjectBox(0, (0.4, 0.4), (0.6, 0.6), "6").located(Naming(range(0, 10, 2)))
    assert box.among(np.array([True, False, False, True, True])).frame == 1
    with pytest.raises(CaptureError, match="names frame 6, whose camera is unknown"):
        box.among(np.array([True, True, True, False, True]))


def test_a_box_is_drawn_in_a_photograph_by_its_name() -> None:
    photographs = Naming([0, 1, 3], ["a.jpg", "(1).jpg", "c.jpg", "d e.jpg"])
    assert ObjectBox.parse("0,0,40,80@d e.jpg", 400, 800).located(photographs).frame == 2
    assert ObjectBox.parse("0,0,40,80@(1).jpg", 400, 800).located(photographs).frame == 1
    assert ObjectBox.parse("0,0,40,80", 400, 800).located(photographs).frame == 0
    with pytest.raises(CaptureError, match="names c.jpg, which is none of the frames taken, from a.jpg to d e.jpg"):
        ObjectBox.parse("0,0,40,80@c.jpg", 400, 800).located(photographs)
