"""ns-eval's figures are those of `nerfsem evaluate`."""

import numpy as np
import torch

from nerfsem_method.evaluation import metrics
from nerfsem_method.plugin import quality
from nerfsem_method.plugin.quality import FrameQuality


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
