"""The report reads gains off the peers' curves, has four files, and invents nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.errors import OutputError
from nerfsem_method.evaluation.metrics import Quality
from nerfsem_method.evaluation.peers import RatePoint
from nerfsem_method.evaluation.report import Evaluation, Track, comparison_picture, gains, page, write_report


def point(codec: str, size: int, psnr: float, level: int | None = None) -> RatePoint:
    return RatePoint(codec, level, size, size / 1e6, Quality(9, psnr, psnr - 5, psnr + 1, psnr - 4, 0.9))


PEER = tuple(
    point("x265", size, psnr, crf) for size, psnr, crf in ((40_000, 34.0, 33), (20_000, 31.0, 39), (10_000, 28.0, 45))
)


def evaluation(size: int = 20_000) -> Evaluation:
    track = Track("fp", point("nerfsem", size, 33.0), {"x265": PEER})
    return Evaluation("<clip>.mp4", "relic.nsem", 270, 480, 9, {"GRID": size}, (track,), ("a note",))


def test_gains_compare_at_equal_bytes_and_at_equal_quality():
    row = gains(evaluation().tracks[0])["x265"]
    assert row["psnr_gain_db"] == pytest.approx(2.0)
    assert row["psnr_center_gain_db"] == pytest.approx(2.0)
    assert row["psnr_bytes_percent"] == pytest.approx(100 * (2 ** (-2 / 3) - 1))


def test_no_gain_is_claimed_off_the_peers_curve():
    row = gains(evaluation(size=9_000).tracks[0])["x265"]
    assert row["psnr_gain_db"] is None
    assert row["psnr_bytes_percent"] is not None


def test_the_nearest_peer_is_the_one_of_our_size():
    assert evaluation(19_000).tracks[0].nearest() == PEER[1]
    assert Track("fp", PEER[0], {}).nearest() is None


def test_all_files_are_written_and_readable(tmp_path):
    frames = {"source": np.zeros((30, 20, 3), np.uint8), "FP": np.full((30, 20, 3), 255, np.uint8)}
    picture = comparison_picture([frames, frames, frames])
    assert picture.shape[1] == 40
    np.testing.assert_array_equal(picture[-30:, :20], frames["source"])
    write_report(tmp_path, evaluation(), picture)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "comparison.png",
        "index.html",
        "metrics.json",
        "rd.png",
    ]
    numbers = json.loads((tmp_path / "metrics.json").read_text())["modes"]["fp"]
    assert numbers["ours"]["bytes"] == 20_000
    assert [row["level"] for row in numbers["peers"]["x265"]] == [33, 39, 45]
    assert numbers["ours"]["lpips"] is None
    assert numbers["ours"]["lpips_reason"]
    assert Image.open(tmp_path / "rd.png").size[0] > 600


def test_the_page_names_everything_and_escapes_names():
    text = page(evaluation())
    assert "<clip>" not in text
    for expected in ("&lt;clip&gt;", "rd.png", "comparison.png", "x265", "20000", "a note", "not available"):
        assert expected in text


def test_a_report_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError):
        write_report(tmp_path / "missing", evaluation(), np.zeros((4, 4, 3), np.uint8))
