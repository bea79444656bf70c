"""Mattes that a training agreed on are kept in the scene folder, come back to it, measure pictures, and are told."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.plugin import agreed
from nerfsem_method.plugin.agreed import AgreedMattes
from nerfsem_method.training.agreement import Agreement

FOUND = Agreement(changed=2, share=0.034, rough=True)


@pytest.fixture
def scene(vase_copy):
    shutil.rmtree(vase_copy.root / "agreed", ignore_errors=True)  # of other tests' trainings
    return vase_copy


def _frames(scene, level: int) -> torch.Tensor:
    return torch.full((len(scene.frames), 8, 6, 4), level, dtype=torch.uint8)


def _read(scene, index: int) -> np.ndarray:
    with Image.open(scene.matte_path(index)) as matte:
        return np.array(matte)


def test_a_training_that_goes_on_takes_the_mattes_of_its_own_agreement(scene):
    indices, frames = torch.arange(len(scene.frames)), _frames(scene, 10)
    mattes = AgreedMattes(scene, indices, frames)
    mattes.keep(1, FOUND)
    frames[..., 3] = 20
    mattes.keep(2, FOUND)
    mattes.take(1)
    assert (frames[..., 3] == 10).all()
    mattes.take(2)
    assert (frames[..., 3] == 20).all() and (frames[..., :3] == 10).all()
    mattes.take(0)
    assert (frames[..., 3] == 20).all()


def test_pictures_are_measured_by_the_last_agreement_and_a_new_training_begins_anew(scene):
    captured = _read(scene, 3)
    indices, frames = torch.arange(1, len(scene.frames)), _frames(scene, 10)[1:]
    mattes = AgreedMattes(scene, indices, frames)
    mattes.keep(1, FOUND)
    frames[..., 3] = 20
    mattes.keep(2, FOUND)
    assert (_read(scene, 3) == 20).all()
    assert scene.matte_path(0) == scene.root / scene.frames[0].matte  # held out of the training
    frames[..., 3] = 30
    mattes.keep(1, FOUND)
    assert (_read(scene, 3) == 30).all()
    shutil.rmtree(scene.root / "agreed")
    np.testing.assert_array_equal(_read(scene, 3), captured)


def test_mattes_that_are_gone_are_named(scene):
    with pytest.raises(CaptureError, match="train anew"):
        AgreedMattes(scene, torch.arange(2), _frames(scene, 10)[:2]).take(1)


def test_what_changed_is_told_and_nothing_is_nothing_to_tell(scene):
    told: list[str] = []
    agreed.report(scene, told.append)
    mattes = AgreedMattes(scene, torch.arange(len(scene.frames)), _frames(scene, 10))
    mattes.keep(1, Agreement(0, 0.0, False))
    agreed.report(scene, told.append)
    assert not told
    mattes.keep(1, FOUND)
    agreed.report(scene, told.append)
    assert told[0].startswith(f"2 of {len(scene.frames)} mattes were changed, by 3.4% of the object's area: their outlines")
    assert json.loads((scene.agreed_folder(1) / "agreement.json").read_text())["rough"]


def test_a_scene_where_none_can_write_is_trained_on_all_the_same(scene):
    (scene.root / "agreed").write_text("in the way")
    AgreedMattes(scene, torch.arange(2), _frames(scene, 10)[:2]).keep(1, FOUND)
    assert scene.matte_path(0) == scene.root / scene.frames[0].matte
