"""The verbs decode, info and verify give right outputs, and one line for every wrong input."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_field import FRAMES, HEIGHT, WIDTH, opaque_bundle

from nerfsem_method.cli.decode import Decode, parse_color, parse_range
from nerfsem_method.cli.info import Info
from nerfsem_method.cli.verify import Verify
from nerfsem_method.codec import nsem
from nerfsem_method.codec.background import Background
from nerfsem_method.errors import BundleError, CorruptBundle, NerfsemError, OutputError
from nerfsem_method.media.annexb import nal_units
from nerfsem_method.media.clip.door import open_clip
from nerfsem_method.playback.player import Player


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    nsem.write(folder / "pc.nsem", opaque_bundle())
    nsem.write(folder / "fp.nsem", opaque_bundle(background=False))
    return {"pc": folder / "pc.nsem", "fp": folder / "fp.nsem"}


def pictures(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def test_png_frames_are_the_decoders_own_pixels_and_the_same_every_time(paths, tmp_path):
    for attempt in ("a", "b"):
        Decode(paths["pc"], tmp_path / attempt).run()
    first, second = pictures(tmp_path / "a"), pictures(tmp_path / "b")
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, list(Player(nsem.read(paths["pc"])).frames("pc")))
    assert np.shape(first) == (FRAMES, HEIGHT, WIDTH, 3)


def test_an_mp4_has_every_frame(paths, tmp_path):
    Decode(paths["fp"], tmp_path / "out.mp4").run()
    assert len(list(open_clip(tmp_path / "out.mp4").frames((WIDTH, HEIGHT)))) == FRAMES


def test_fp_fills_the_ground_with_the_colour_that_is_asked_for(paths, tmp_path):
    Decode(paths["pc"], tmp_path / "white", mode="fp").run()
    Decode(paths["pc"], tmp_path / "blue", background_color="#0000ff").run()
    assert pictures(tmp_path / "white")[0][0, 0].tolist() == [255, 255, 255]
    assert pictures(tmp_path / "blue")[0][0, 0].tolist() == [0, 0, 255]


def test_transparent_frames_composite_to_the_plain_ones(paths, tmp_path):
    Decode(paths["fp"], tmp_path / "rgba", background_color="transparent").run()
    Decode(paths["fp"], tmp_path / "white").run()
    for rgba, rgb in zip(pictures(tmp_path / "rgba"), pictures(tmp_path / "white"), strict=True):
        alpha = rgba[..., 3:] / 255
        np.testing.assert_allclose(rgba[..., :3] * alpha + 255 * (1 - alpha), rgb, atol=2)
    assert rgba[0, 0, 3] == 0
    assert rgba[HEIGHT // 2, WIDTH // 2, 3] > 128


def test_a_range_of_frames_keeps_its_numbers(paths, tmp_path):
    Decode(paths["pc"], tmp_path / "all").run()
    Decode(paths["pc"], tmp_path / "some", frames="3:5").run()
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["000003.png", "000004.png"]
    np.testing.assert_array_equal(pictures(tmp_path / "some"), pictures(tmp_path / "all")[3:5])


def test_a_bundle_without_its_background_is_an_fp_bundle(paths, tmp_path):
    stripped = tmp_path / "stripped.nsem"
    stripped.write_bytes(nsem.drop_background(paths["pc"].read_bytes()))
    Decode(stripped, tmp_path / "a").run()
    Decode(paths["pc"], tmp_path / "b", mode="fp").run()
    np.testing.assert_array_equal(pictures(tmp_path / "a"), pictures(tmp_path / "b"))


def test_wrong_requests_are_named_before_anything_is_rendered(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(Player, "premultiplied", lambda *_: pytest.fail("rendered"))
    (tmp_path / "file").write_text("x")
    wrong = [
        (Decode(paths["pc"], tmp_path / "o.mp4", background_color="transparent"), OutputError, "name a folder"),
        (Decode(paths["pc"], tmp_path / "o.mp4", background_color="pink"), NerfsemError, "pink is no colour"),
        (Decode(paths["pc"], tmp_path / "o.mp4", mode="pc", background_color="white"), NerfsemError, "leave it out"),
        (Decode(paths["pc"], tmp_path / "o.gif"), OutputError, "neither an .mp4 file nor a folder"),
        (Decode(paths["pc"], tmp_path / "file" / "o.mp4"), OutputError, "choose another place"),
        (Decode(paths["pc"], tmp_path / "o.mp4", frames="5:99"), NerfsemError, "B <= 8"),
        (Decode(paths["fp"], tmp_path / "o.mp4", mode="pc"), NerfsemError, "holds no background"),
        (Decode(tmp_path / "missing.nsem", tmp_path / "o.mp4"), BundleError, "missing.nsem cannot be read"),
        (Decode(tmp_path / "file", tmp_path / "o.mp4"), BundleError, "not a .nsem bundle"),
    ]
    for request, error, complaint in wrong:
        with pytest.raises(error, match=complaint) as raised:
            request.run()
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "o.mp4").exists()


def test_a_failing_decoder_leaves_the_old_video(paths, tmp_path, monkeypatch):
    target = tmp_path / "out.mp4"
    Decode(paths["fp"], target).run()
    old = target.read_bytes()
    monkeypatch.setattr(Player, "composited", lambda *_: (_ for _ in ()).throw(CorruptBundle("late")))
    with pytest.raises(CorruptBundle):
        Decode(paths["fp"], target).run()
    assert target.read_bytes() == old


def test_info_tells_where_every_byte_goes(paths, capsys):
    Info((paths["pc"],), json=True).run()
    facts = json.loads(capsys.readouterr().out)
    size = paths["pc"].stat().st_size
    assert facts["bytes"] == sum(facts["parts"].values()) == size
    assert facts["bpp"] == pytest.approx(8 * size / (FRAMES * WIDTH * HEIGHT))
    assert facts["mode"] == "pc"
    assert facts["video"]["frames"] == FRAMES
    assert facts["exposure"] == "constant"
    Info((paths["fp"],)).run()
    text = capsys.readouterr().out
    assert f"{WIDTH} x {HEIGHT}" in text
    assert "background" not in text


def test_info_tells_of_a_changing_exposure(paths, tmp_path, capsys):
    made = nsem.read(paths["fp"])
    made.gains[3] = 0.5
    nsem.write(tmp_path / "relic.nsem", made)
    Info((tmp_path / "relic.nsem",), json=True).run()
    assert json.loads(capsys.readouterr().out)["exposure"] == "per frame"


def test_verify_accepts_the_sound_and_names_the_damaged(paths, tmp_path, capsys):
    for path in paths.values():
        Verify((path,)).run()
    assert capsys.readouterr().out.count("sound") == 2
    data = bytearray(paths["pc"].read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / "damaged.nsem"
    damaged.write_bytes(data)
    with pytest.raises(CorruptBundle, match="damaged"):
        Verify((damaged,)).run()


def test_verify_decodes_the_background_too(paths, tmp_path):
    made = nsem.read(paths["pc"])
    assert isinstance(made.background, Background)
    units = nal_units(made.background.stream)
    shorter = replace(made.background, stream=b"".join(b"\0\0\1" + unit for unit in units[:-1]))
    nsem.write(tmp_path / "short.nsem", replace(made, background=shorter))
    with pytest.raises(CorruptBundle, match=f"{FRAMES - 1} pictures instead of {FRAMES}"):
        Verify((tmp_path / "short.nsem",)).run()


def test_colours_and_ranges_are_read_as_documented():
    assert parse_color("White") == (255, 255, 255)
    assert parse_color("1, 2,3") == parse_color("#010203") == (1, 2, 3)
    assert parse_color("transparent") is None
    for text in ("1,2", "1,2,256", "#12345", "-1,2,3", ""):
        with pytest.raises(NerfsemError):
            parse_color(text)
    ranges = {None: (0, 9), ":": (0, 9), "2:": (2, 9), ":3": (0, 3), "2:3": (2, 3)}
    assert {text: parse_range(text, 9) for text in ranges} == ranges
    for text in ("3", "3:3", "5:2", ":10", "-1:3", "a:b"):
        with pytest.raises(NerfsemError):
            parse_range(text, 9)


def test_decoding_imports_no_training_library(paths, tmp_path):
    import subprocess

    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parents[1])]!r}
for name in ("torch", "nerfstudio", "nerfacc", "pycolmap", "transformers", "nerfsem_dataparsers", "cv2", "scipy"):
    sys.modules[name] = None
from pathlib import Path
from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.info import Info
Decode(Path({str(paths["pc"])!r}), Path({str(tmp_path / "out")!r})).run()
Info((Path({str(paths["pc"])!r}),)).run()
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert len(pictures(tmp_path / "out")) == FRAMES
