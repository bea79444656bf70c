"""All threads work on parts of a whole: every part once, errors come back, and training and viewing go on side by side."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_field import DENSE, orbit, tiny_state

from nerfsem_method.compiled import threads
from nerfsem_method.playback.torch_renderer import TorchRenderer
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.radiance import RadianceField

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_every_part_is_worked_on_once(count):
    seen, parts = np.zeros(count, int), []

    def work(thread, start, stop):
        parts.append((thread, start, stop))
        seen[start:stop] += 1

    threads.in_parts(count, work)
    assert (seen == 1).all() and len({thread for thread, _, _ in parts}) == len(parts)
    again: list[int] = []
    threads.in_turns(count, again.append)
    assert sorted(again) == list(range(count))


def test_an_error_in_any_thread_reaches_the_caller():
    def work(thread, start, stop):
        if thread == failing:
            raise ValueError(f"thread {thread}")

    def fail_first(index):
        _ = 1 / index

    for failing in range(threads.THREADS):  # noqa: B007 (`work` reads it)
        with pytest.raises(ValueError, match=f"thread {failing}"):
            threads.in_parts(10 * threads.THREADS, work)
    with pytest.raises(ZeroDivisionError):
        threads.in_turns(3, fail_first)


def test_a_viewer_may_render_while_training_computes():
    """nerfstudio's viewer and trainer are two threads of Python."""
    camera, state = Intrinsics(48, 40, 60.0, 60.0, 24.0, 20.0), tiny_state(DENSE)
    renderer, field = TorchRenderer(state, camera, "cpu"), RadianceField.from_state(state)
    cameras = CameraPath(camera, orbit(3))
    alone = [renderer.picture(pose) for pose in orbit(3)]

    def train():
        for _ in range(10):
            frames = torch.zeros(500, dtype=torch.int64)
            step = field.step(*cameras.rays(frames, torch.rand(500, 2) * 40), 200)
            (step.rendering.color.sum() + step.bits).backward()

    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train)
        together = [renderer.picture(pose) for _ in range(4) for pose in orbit(3)]
        training.result()
    for index, picture in enumerate(together):
        np.testing.assert_array_equal(picture, alone[index % 3])
