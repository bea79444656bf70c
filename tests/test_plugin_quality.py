"""ns-eval's figures are those of `nerfsem evaluate`."""

import numpy as np
import pytest
import torch
from PIL import Image
from test_plugin_training import smoke
from test_plugin_views import loaded

from nerfsem_method.codec import nsem
from nerfsem_method.evaluation import metrics
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.playback.player import WHITE, Player
from nerfsem_method.plugin import checkpoint, quality
from nerfsem_method.plugin.quality import FrameQuality
from nerfsem_method.plugin.training import train


def test_a_frame_is_measured_over_white_and_shown_beside_its_source(monkeypatch):
    monkeypatch.setattr(quality, "load_lpips", lambda: lambda a, b: 0.25)
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (40, 30, 4)).astype(np.uint8)
    source[:, :10, 3] = 0
    rendered = torch.from_numpy(rng.random((40, 30, 3)).astype(np.float32))
    figures, pair = FrameQuality().measure(rendered, torch.from_numpy(source))
    truth = metrics.masked_reference(source[..., :3], source[..., 3])
    decoded = np.rint(rendered.numpy() * 255).astype(np.uint8)
    expected = metrics.measure([decoded], [truth], [source[..., 3]])
    assert figures == {
        "psnr": expected.psnr, "psnr_center": expected.psnr_center, "ssim": expected.ssim, "lpips": 0.25,
    }  # fmt: skip
    assert np.array_equal((pair.numpy() * 255).round(), np.concatenate([truth, decoded], 1))
    again, _ = FrameQuality().measure(rendered, torch.from_numpy(source).float() / 255)
    assert again == figures


def test_without_weights_and_object_figures_are_left_out(monkeypatch):
    def none():
        raise FileNotFoundError("no weights")

    monkeypatch.setattr(quality, "load_lpips", none)
    figures, _ = FrameQuality().measure(torch.ones(20, 20, 3), torch.zeros(20, 20, 4, dtype=torch.uint8))
    assert "lpips" not in figures and np.isnan(figures["psnr_center"]) and figures["psnr"] == metrics.IDENTICAL_DB


def test_a_run_is_measured_as_the_bundle_that_it_is_exported_as(vase_copy, tmp_path, monkeypatch):
    """That bundle has a filter and a residual, and pictures are measured by the mattes that a training agreed on."""

    def none():
        raise FileNotFoundError("no weights")

    monkeypatch.setattr(quality, "load_lpips", none)
    config = smoke(vase_copy, tmp_path, timestamp="run", max_num_iterations=60)
    config.pipeline.model.target_bytes = 30_000
    run = train(config)
    for index in range(len(vase_copy.frames)):
        matte = read_picture(vase_copy.root / vase_copy.frames[index].matte, grey=True)
        matte[: matte.shape[0] // 2] = 0  # the upper half is the object's no longer
        vase_copy.agreed_folder(1).mkdir(parents=True, exist_ok=True)
        Image.fromarray(matte).save(vase_copy.agreed_folder(1) / f"{index:06d}.png")

    pipeline = loaded(run, "test")
    figures = pipeline.get_average_eval_image_metrics(output_path=tmp_path / "pictures")
    bundle = nsem.decode(data := nsem.encode(checkpoint.run_bundle(checkpoint.load_config(run), vase_copy, None)))
    assert bundle.filter is not None and bundle.residual is not None and figures["bytes"] == len(data)
    frames = pipeline.datamanager.eval_dataset.frame_indices.tolist()
    sources = [read_picture(vase_copy.root / vase_copy.frames[index].image)[..., ::-1] for index in frames]
    mattes = [read_picture(vase_copy.matte_path(index), grey=True) for index in frames]
    truths = [metrics.masked_reference(source, matte) for source, matte in zip(sources, mattes, strict=True)]
    decoded = [Player(bundle).composited(index, WHITE) for index in frames]
    expected = metrics.measure(decoded, truths, mattes)
    assert figures["psnr"] == pytest.approx(expected.psnr) and figures["ssim"] == pytest.approx(expected.ssim)
    assert figures["psnr_center"] == pytest.approx(expected.psnr_center)
    assert len(list((tmp_path / "pictures").iterdir())) == len(frames)
    # a picture of the viewer stays the trained field's
    pipeline.eval()
    camera = pipeline.datamanager.eval_dataset.cameras[:1]
    assert "depth" in pipeline.model.get_outputs_for_camera(camera)
