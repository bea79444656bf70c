"""The report reads gains off the peers' curves, has four files, and invents nothing."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from nerfsem_method.cli.evaluate import summary
from nerfsem_method.errors import OutputError
from nerfsem_method.evaluation.findings import (
    Evaluation,
    Shown,
    Track,
    at_our_bytes,
    at_our_quality,
    delta_rate,
    gains,
    reaches,
)
from nerfsem_method.evaluation.metrics import Quality
from nerfsem_method.evaluation.page import page
from nerfsem_method.evaluation.peers import RatePoint
from nerfsem_method.evaluation.report import comparison_picture, write_report


def point(codec: str, size: int, psnr: float, level: int | None = None) -> RatePoint:
    quality = Quality(
        9, psnr, psnr - 5, psnr + 1, psnr - 4, psnr / 40, ciede2000=40 - psnr, ciede2000_p95=80 - 2 * psnr
    )  # fmt: skip
    return RatePoint(codec, level, size, size / 1e6, quality)


PEER = tuple(point("x265", size, psnr, crf) for size, psnr, crf in ((10_000, 28.0, 45), (20_000, 31.0, 39), (40_000, 34.0, 33)))


FOUR = (*PEER, point("x265", 80_000, 37.0, 29))


def evaluation(size: int = 20_000) -> Evaluation:
    track = Track("fp", {"relic.nsem": point("nerfsem", size, 33.0)}, {"x265": PEER})
    return Evaluation("<clip>.mp4", "relic.nsem", 270, 480, 9, {"GRID": size}, (track,), ("a note",))


def shown() -> tuple[Shown, ...]:
    """Return three frames, each with a source of one grey and a decoded frame of another."""
    pictures = {name: np.full((30, 20, 3), grey, np.uint8) for name, grey in (("source", 0), ("<nerfsem>", 200), ("x265", 100))}
    return tuple(Shown("fp", rank, index, pictures) for index, rank in enumerate(("worst", "median", "best")))


def test_gains_compare_at_equal_bytes_and_at_equal_quality():
    row = gains(evaluation().tracks[0])["x265"]
    assert row["psnr_gain_db"] == pytest.approx(2.0)
    assert row["psnr_center_gain_db"] == pytest.approx(2.0)
    assert row["psnr_bytes_percent"] == pytest.approx(100 * (2 ** (-2 / 3) - 1))


def test_no_gain_is_claimed_off_the_peers_curve():
    row = gains(evaluation(size=9_000).tracks[0])["x265"]
    assert row["psnr_gain_db"] is None
    assert row["psnr_bytes_percent"] is not None


def test_a_peers_bytes_at_our_quality_are_read_between_its_points_and_never_beyond():
    read = at_our_quality(PEER, point("nerfsem", 1, 32.5), "psnr")
    assert read.value == pytest.approx(20_000 * 2**0.5)
    assert at_our_quality(PEER, point("nerfsem", 1, 27.9), "psnr_center") == (None, "below its lowest")
    assert at_our_quality(PEER, point("nerfsem", 1, 34.1), "ssim") == (None, "above its highest")
    assert at_our_quality(PEER, point("nerfsem", 1, 31.0), "lpips") == (None, "not measured")


def test_where_lower_is_better_curves_are_turned_round():
    ours = point("nerfsem", 20_000, 27.0)
    assert at_our_quality(PEER, ours, "ciede2000") == (None, "below its lowest")  # 13, the peer's highest being 12
    assert at_our_bytes(PEER, ours, "ciede2000").value == pytest.approx(9)
    assert at_our_bytes(PEER, point("nerfsem", 9_999, 30), "ciede2000") == (None, "below its lowest")


def test_a_sweep_of_ours_has_a_delta_rate_over_what_both_curves_have():
    ours = {
        str(n): point("nerfsem", size, psnr)
        for n, (size, psnr) in enumerate(((5000, 28), (10_000, 31), (20_000, 34), (40_000, 37)))
    }
    curve = Track("fp", ours, {"x265": FOUR})
    for metric, span in {"psnr": (28, 37), "psnr_center": (23, 32), "ciede2000": (3, 12)}.items():
        rate, over = delta_rate(curve, "x265", metric)
        assert rate.value == pytest.approx(-50) and over == pytest.approx(span), metric
    assert delta_rate(evaluation().tracks[0], "x265", "psnr")[0] == (None, "takes four bundles")


def test_a_delta_rate_is_told_with_its_range():
    ours = {f"{n}.nsem": point("nerfsem", p.bytes // 2, p.quality.psnr) for n, p in enumerate(FOUR)}
    whole = dataclasses.replace(evaluation(), tracks=(Track("fp", ours, {"x265": FOUR}),))
    text = page(whole, shown())
    assert text.count("<td>-50 % (28.00 to 37.00)</td>") == 1 and "relic.nsem and 3 more against" in text
    assert "fp: delta rate against x265 by PSNR-CENTER: -50.0 % of bytes (23.00 to 32.00 dB)" in summary(whole)
    assert "x265 at our PSNR-CENTER: 10000 bytes, we take 0.50 of them" in summary(whole)
    assert "delta rate" not in summary(evaluation())


def test_a_peers_curve_reaches_ours_where_its_finest_point_is_better_in_everything():
    assert reaches(PEER, [point("nerfsem", 39_000, 33.9)])
    assert not reaches(PEER, [point("nerfsem", 39_000, 34.1)]) and not reaches(PEER, [point("nerfsem", 41_000, 30)])
    assert not reaches(PEER, [point("nerfsem", 9_000, 30), point("nerfsem", 50_000, 36)])


def test_the_nearest_points_are_those_of_our_size_the_best_first():
    other = point("svt-av1", 30_000, 36.0), point("svt-av1", 90_000, 39.0)
    track = Track("fp", {"relic": point("nerfsem", 19_000, 33)}, {"x265": PEER, "svt-av1": other})
    assert track.nearest() == (other[0], PEER[1])
    assert Track("fp", {"relic": PEER[0]}, {}).nearest() == ()


def test_all_files_are_written_and_readable(tmp_path):
    picture = comparison_picture(shown())
    assert picture.shape[1] == 60
    np.testing.assert_array_equal(picture[-30:, 20:40], shown()[0].pictures["<nerfsem>"])
    write_report(tmp_path, evaluation(), shown())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "comparison.png",
        "index.html",
        "metrics.json",
        "rd.png",
    ]
    numbers = json.loads((tmp_path / "metrics.json").read_text())["modes"]["fp"]
    assert numbers["ours"]["bytes"] == numbers["sweep"]["relic.nsem"]["bytes"] == 20_000
    assert [row["level"] for row in numbers["peers"]["x265"]] == [45, 39, 33]
    assert numbers["readings"]["relic.nsem"]["x265"]["bytes_at_our_quality"]["lpips"] == "not measured"
    assert numbers["bd_rate"]["x265"]["psnr"] == {"percent": "takes four bundles", "over": None}
    assert numbers["ours"]["lpips"] is None
    assert numbers["ours"]["lpips_reason"]
    assert Image.open(tmp_path / "rd.png").size[0] > 600


def test_the_page_names_everything_escapes_names_and_needs_no_network():
    text = page(evaluation(), shown())
    assert "<clip>" not in text and "<nerfsem>" not in text and "http" not in text
    for expected in ("&lt;clip&gt;", "rd.png", "x265", "20,000", "a note", "It takes four bundles", "31,748 (0.63)"):
        assert expected in text
    assert text.count("data:image/png;base64,") == 9


def test_a_bundle_below_a_peers_curve_is_called_so_on_the_page():
    (track,) = evaluation().tracks
    low = dataclasses.replace(track, sweep={"small.nsem": point("nerfsem", 5_000, 20.0)})
    assert page(dataclasses.replace(evaluation(), tracks=(low,)), shown()).count("<td>below its lowest</td>") == 5 + 2


def test_a_report_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        write_report(tmp_path / "file" / "missing", evaluation(), shown())
