"""The viewer's panel is handled here as nerfstudio handles it: by the callbacks and values of its elements."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nerfstudio.viewer.render_state_machine import RenderStateMachine
from nerfstudio.viewer.utils import parse_object
from nerfstudio.viewer.viewer_elements import ViewerElement
from test_plugin_training import smoke
from test_plugin_views import loaded
from tiny_field import opaque_bundle

from nerfsem_method.codec import nsem
from nerfsem_method.codec.metadata import with_metadata
from nerfsem_method.plugin import panel as panels
from nerfsem_method.plugin.dataparser import bundle_scene, world_scale
from nerfsem_method.plugin.panel import DECODED, OBJECT, WHOLE, Panel, by_part
from nerfsem_method.plugin.runs import import_bundle
from nerfsem_method.plugin.training import train
from nerfsem_method.scene.camera import camera_centres


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Any:
    """Return the pipeline of an imported PC bundle."""
    folder = tmp_path_factory.mktemp("panel")
    nsem.write(path := folder / "relic.nsem", opaque_bundle())
    path.write_bytes(with_metadata(path.read_bytes(), {"title": "Kylix"}, nsem.KNOWN_SECTIONS))
    return loaded(import_bundle(path, folder / "run"), "test"), path


@pytest.fixture(scope="module")
def trained(vase_scene, tmp_path_factory) -> Any:
    """Return the pipeline of a short training."""
    return loaded(train(smoke(vase_scene, tmp_path_factory.mktemp("trained"))), "test")


@pytest.fixture
def visitor(monkeypatch):
    """Let this thread count as one in which the viewer renders."""
    machine = RenderStateMachine.__new__(RenderStateMachine)
    monkeypatch.setattr(panels.threading, "current_thread", lambda: machine)


def rgb(pipeline: Any) -> np.ndarray:
    """Return what a frame's view shows, [H, W, 3] in [0, 255]."""
    with torch.no_grad():
        outputs = pipeline.model.get_outputs_for_camera(pipeline.datamanager.train_dataset.cameras[2:3])
    return (outputs["rgb"] * 255).cpu().numpy()


def weights(pipeline: Any) -> dict[str, torch.Tensor]:
    """Return copies of all tensors of a model."""
    return {name: value.clone() for name, value in pipeline.model.state_dict().items() if isinstance(value, torch.Tensor)}


def test_nerfstudio_finds_the_elements_in_their_order(imported):
    pipeline, _ = imported
    elements = parse_object(pipeline, ViewerElement, "Custom Elements")
    assert all("/panel/" in path for path, _ in elements)
    names = [element.name for _, element in elements]
    assert names == ["Shows", "Ground", "Stand at frame", "Weights", "Encode now", "Bytes", "By part", "PSNR", "Lambda", "About"]


def test_an_imported_bundle_tells_its_bytes_and_metadata(imported):
    pipeline, path = imported
    panel: Panel = pipeline.model.panel
    assert panel.f_bytes.value == f"{path.stat().st_size:,}"
    assert f"background {nsem.sizes(path.read_bytes())['BACK']:,}" in panel.g_parts.value
    assert "title: Kylix" in panel.j_described.value and "8 frames" in panel.j_described.value


def test_ground_and_mode_are_what_a_visitor_chose_and_nobody_else_sees(imported, monkeypatch):
    pipeline, _ = imported
    panel: Panel = pipeline.model.panel
    before = rgb(pipeline)
    panel.b_ground.value = (255, 0, 0)
    assert np.array_equal(rgb(pipeline), before)
    machine = RenderStateMachine.__new__(RenderStateMachine)
    monkeypatch.setattr(panels.threading, "current_thread", lambda: machine)
    red = rgb(pipeline)
    np.testing.assert_allclose(red[0, 0], [255, 0, 0], atol=1)
    assert np.abs(red - before)[..., 0].max() < 1
    assert panel.a_mode.options == [OBJECT, WHOLE]
    panel.a_mode.value = WHOLE
    whole = rgb(pipeline)
    assert np.abs(whole - red)[0, 0].max() > 30 and np.abs(whole - before)[0, 0].max() > 10
    panel.a_mode.value, panel.b_ground.value = OBJECT, (255, 255, 255)


def test_a_trial_encoding_of_an_import_gives_its_bytes_again(imported):
    pipeline, path = imported
    panel: Panel = pipeline.model.panel
    panel.e_encode.cb_hook(panel.e_encode)
    told = int(panel.f_bytes.value.replace(",", ""))
    assert abs(told - path.stat().st_size) < 60  # its metadata are others
    assert panel.h_psnr.value == "no source frames to measure against"


def test_the_decoded_weights_are_shown_beside_the_trained_ones(trained, visitor):
    panel: Panel = trained.model.panel
    before = weights(trained)
    assert panel.a_mode.options == [OBJECT]
    panel.d_weights.value = DECODED
    panel.d_weights.cb_hook(panel.d_weights)
    figures = [float(word) for word in panel.h_psnr.value.split() if word[0].isdigit()]
    assert panel.h_psnr.value.endswith("decoded") and len(figures) == 2 and abs(figures[0] - figures[1]) < 1
    assert int(panel.f_bytes.value.replace(",", "")) > 1000 and "tables" in panel.g_parts.value
    decoded, panel.d_weights.value = rgb(trained), "trained"
    assert np.abs(rgb(trained) - decoded).mean() < 2
    after = weights(trained)
    assert before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())


def test_figures_of_a_training_are_shown_where_somebody_looks(trained):
    panel: Panel = trained.model.panel
    panel.hear({"psnr": torch.tensor(21.5), "kilobytes": torch.tensor(18.25)}, torch.tensor(2e-8))
    assert panel.i_lambda.value == "-"
    handles = [panel.f_bytes, panel.h_psnr, panel.i_lambda]
    for element in handles:
        element.gui_handle = SimpleNamespace(content="")  # type: ignore[assignment]
    panel.hear({"psnr": torch.tensor(21.5), "kilobytes": torch.tensor(18.25)}, torch.tensor(2e-8))
    assert [element.value for element in handles] == ["18,250 estimated", "21.50 dB of this step's rays", "2e-08"]
    assert panel.f_bytes.gui_handle.content == "**Bytes:** 18,250 estimated"  # type: ignore[union-attr]
    for element in handles:
        element.gui_handle = None  # type: ignore[assignment]


def test_visitors_stand_where_a_frame_was_taken(imported):
    pipeline, path = imported
    panel: Panel = pipeline.model.panel
    panel.stand_at(3)  # nobody is there
    camera = SimpleNamespace(position=None, wxyz=None, fov=None)
    client = SimpleNamespace(camera=camera, atomic=nullcontext)
    panel.control.viser_server = SimpleNamespace(get_clients=lambda: {0: client})  # type: ignore[assignment]
    panel.c_frame.value = 3
    panel.c_frame.cb_hook(panel.c_frame)
    scene = pipeline.model.kwargs["metadata"]["scene"]
    pose = nsem.read(path).poses[3]
    stands = np.array(camera.position) / 10 / world_scale(scene) + 0.5
    np.testing.assert_allclose(stands, camera_centres(pose[None])[0], atol=1e-6)
    w, x, y, z = camera.wxyz
    ahead = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    np.testing.assert_allclose(ahead, pose[2, :3], atol=1e-6)
    assert np.tan(camera.fov / 2) == pytest.approx(scene.camera.height / 2 / scene.camera.fy)


def test_a_visitor_sees_as_much_as_the_frames_own_lens(imported):
    _, path = imported
    made = replace(nsem.read(path), zooms=np.array([1.0, 2.0] * 4))
    panel = Panel(bundle_scene(path), False, lambda: made)
    camera = SimpleNamespace(position=None, wxyz=None, fov=None)
    client = SimpleNamespace(camera=camera, atomic=nullcontext)
    panel.control.viser_server = SimpleNamespace(get_clients=lambda: {0: client})  # type: ignore[assignment]
    for frame, zoom in ((2, 1), (3, 2)):
        panel.stand_at(frame)
        assert np.tan(camera.fov / 2) == pytest.approx(made.camera.height / 2 / (zoom * made.camera.fy))


def test_parts_add_up():
    assert by_part({"GRID": 1000, "HEAD": 20, "SPEC": 3, "container": 4}) == "tables 1,000, heads 20, rest 7"
