"""The verb evaluate measures a clip that is the decoded bundle itself."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import typing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_field import FRAMES, HEIGHT, WIDTH, opaque_bundle

from nerfsem_method.cli.evaluate import Evaluate, PeerName
from nerfsem_method.codec import nsem
from nerfsem_method.errors import CaptureError, NerfsemError, OutputError
from nerfsem_method.evaluation.metrics import IDENTICAL_DB
from nerfsem_method.evaluation.peers import PEERS
from nerfsem_method.media.video import write_video
from nerfsem_method.playback.player import Player
from nerfsem_method.scene.scene import Frame, Scene


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where an evaluation keeps what peers give, another one in each test; x264 is in a hurry."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    quick = {**PEERS["x264"].options, "preset": "ultrafast"}
    monkeypatch.setitem(PEERS, "x264", dataclasses.replace(PEERS["x264"], options=quick, levels=(41, 45, 48, 51)))
    return tmp_path / "cache/nerfsem/peers"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of relic.nsem, and of relic.mp4 and mattes/ made from its frames."""
    root = tmp_path_factory.mktemp("study")
    nsem.write(root / "relic.nsem", opaque_bundle())
    player = Player(nsem.read(root / "relic.nsem"))
    write_video(root / "relic.mp4", player.frames("pc"), Fraction(10))
    (root / "mattes").mkdir()
    for index in range(FRAMES):
        Image.fromarray(player.frame(index)[..., 3]).save(root / "mattes" / f"{index:03d}.png")
    return root


def test_a_pc_bundle_is_measured_in_both_modes_against_its_peers(folder, tmp_path, capsys):
    Evaluate(folder / "relic.mp4", (folder / "relic.nsem",), tmp_path / "report", folder / "mattes", peers=("x264",)).run()
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["frames"] == FRAMES
    fp, pc = metrics["modes"]["fp"], metrics["modes"]["pc"]
    assert pc["ours"]["bytes"] == (folder / "relic.nsem").stat().st_size == sum(metrics["parts"].values())
    assert fp["ours"]["bytes"] == len(nsem.drop_background((folder / "relic.nsem").read_bytes()))
    assert fp["ours"]["bpp"] == pytest.approx(8 * fp["ours"]["bytes"] / (FRAMES * WIDTH * HEIGHT))
    assert fp["ours"]["psnr"] > 25 and pc["ours"]["psnr"] > 25  # only the mp4 lies between them
    assert [point["level"] for point in pc["peers"]["x264"]] == [51, 48, 45, 41]
    assert any("byte for byte" in note for note in metrics["notes"])
    picture = np.asarray(Image.open(tmp_path / "report" / "comparison.png"))
    columns = np.split(picture, 3, axis=1)  # the source, ours, and the peer; FP lies above, over white
    assert all(column[22, 0].min() > 200 and column[-HEIGHT, 0].min() < 200 for column in columns)
    assert "pc:" in capsys.readouterr().out


def test_a_sweep_of_bundles_is_measured_on_the_same_frames(folder, tmp_path, kept, capsys):
    small = tmp_path / "small.nsem"
    small.write_bytes(nsem.drop_background((folder / "relic.nsem").read_bytes()))
    bundles = (small, folder / "relic.nsem")
    Evaluate(folder / "relic.mp4", bundles, tmp_path / "report", folder / "mattes", peers=("x264",)).run()
    modes = json.loads((tmp_path / "report" / "metrics.json").read_text())["modes"]
    fp, pc = modes["fp"]["sweep"], modes["pc"]["sweep"]
    assert list(fp) == ["small.nsem", "relic.nsem"] and list(pc) == ["relic.nsem"]
    # they are one object; a mean's last digit follows where its array lies in memory
    one, same = fp["small.nsem"], fp["relic.nsem"]
    assert one == {name: pytest.approx(value, rel=1e-12) if isinstance(value, float) else value for name, value in same.items()}
    assert "fp: small.nsem: " in capsys.readouterr().out and "small.nsem" in (tmp_path / "report/index.html").read_text()
    assert len(list(kept.glob("*.stream"))) == sum(len(mode["peers"]["x264"]) for mode in modes.values())


def test_bundles_of_different_frames_are_no_sweep(folder, tmp_path, root):
    other = root / "tests/golden/dense-fp.nsem"
    with pytest.raises(NerfsemError, match="relic.nsem and dense-fp.nsem hold different frames; evaluate them one by one"):
        Evaluate(folder / "relic.mp4", (folder / "relic.nsem", other), tmp_path / "report", folder / "mattes").run()


def test_without_bundles_one_is_asked_for(folder, tmp_path):
    with pytest.raises(NerfsemError, match="name one bundle or more"):
        Evaluate(folder / "relic.mp4", (), tmp_path / "report", folder / "mattes").run()


def test_names_that_are_no_text_are_evaluated(folder, tmp_path):
    clip, bundle, report = (tmp_path / os.fsdecode(name) for name in (b"\xe9.mp4", b"-\xe9.nsem", b"\xe8"))
    shutil.copy(folder / "relic.mp4", clip)
    shutil.copy(folder / "relic.nsem", bundle)
    Evaluate(clip, (bundle,), report, folder / "mattes", peers=()).run()
    assert "-\ufffd.nsem" in (report / "index.html").read_text()


def test_without_peers_it_is_quick_and_still_measures(folder, tmp_path, capsys):
    Evaluate(folder / "relic.mp4", (folder / "relic.nsem",), tmp_path / "report", folder / "mattes", peers=(), json=True).run()
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "report/metrics.json").read_text())
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["modes"]["fp"]["peers"] == {}


def test_a_scene_beside_the_clip_is_found(folder, tmp_path):
    """A capture keeps it there; its pictures are compared with, and not the clip's."""
    clip, bundle = shutil.copy(folder / "relic.mp4", tmp_path), nsem.read(folder / "relic.nsem")
    root = tmp_path / "relic.nerfsem"
    root.mkdir()
    frames = []
    for index, picture in enumerate(Player(bundle).frames("pc")):
        Image.fromarray(picture).save(root / f"{index}.png")
        shutil.copy(folder / f"mattes/{index:03d}.png", root / f"{index}-matte.png")
        frames.append(Frame(index, bundle.poses[index], "registered", f"{index}.png", f"{index}-matte.png"))
    Scene(root, bundle.video, bundle.camera, tuple(frames)).save()
    Evaluate(Path(clip), (folder / "relic.nsem",), tmp_path / "report", peers=()).run()
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["modes"]["pc"]["ours"]["psnr"] == IDENTICAL_DB


def test_clips_mattes_and_outputs_that_do_not_fit_are_named(folder, tmp_path, vase_video, vase_mattes, vase_scene):
    (tmp_path / "file").write_text("x")
    (tmp_path / "few").mkdir()
    clip, bundle, out = folder / "relic.mp4", folder / "relic.nsem", tmp_path / "report"
    wrong = [
        (Evaluate(tmp_path / "none.mp4", (bundle,), out, peers=()), CaptureError, "none.mp4 does not exist"),
        (Evaluate(clip, (bundle,), out, peers=()), CaptureError, "give --mattes DIR"),
        (Evaluate(clip, (bundle,), out, tmp_path / "few", peers=()), CaptureError, "few holds no images"),
        (Evaluate(clip, (bundle,), out, folder / "mattes", tmp_path, peers=()), CaptureError, "give one of them"),
        (Evaluate(clip, (bundle,), out, scene_dir=vase_scene.root, peers=()), CaptureError, "holds 12 mattes"),
        (Evaluate(vase_video, (bundle,), out, vase_mattes, peers=()), CaptureError, "has more frames, the bundle 8"),
        (Evaluate(vase_video, (bundle,), out, folder / "mattes", peers=()), CaptureError, "has more frames, the bundle 8"),
        (Evaluate(clip, (clip,), out, folder / "mattes", peers=()), NerfsemError, "not a .nsem bundle"),
        (Evaluate(clip, (bundle,), tmp_path / "file", folder / "mattes", peers=()), OutputError, "name a folder"),
    ]
    for request, error, complaint in wrong:
        with pytest.raises(error, match=complaint) as raised:
            request.run()
        assert "\n" not in str(raised.value)
        assert not (out / "metrics.json").exists()


def test_the_flag_offers_every_peer():
    assert set(typing.get_args(PeerName)) == set(PEERS)
