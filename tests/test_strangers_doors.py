"""What is wrong with a stranger's clip is said in the same line, with exit code 2, by `nerfsem capture` and by `ns-train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from make_clips import ffmpeg, pattern, pictures, same
from PIL import Image

from nerfsem_method.cli import main
from nerfsem_method.cli.capture import Capture
from nerfsem_method.plugin.config import trainer_config


def without_index(folder: Path) -> Path:
    whole = pattern(folder / "whole.mp4", 10)
    cut = folder / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:-1500])
    return cut


def high_range(folder: Path) -> Path:
    tags = "setparams=color_trc=arib-std-b67:color_primaries=bt2020:colorspace=bt2020nc"
    return pattern(folder / "hlg.mp4", 10, "-vf", tags, "-pix_fmt", "yuv420p10le")


def nothing(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def too_short(folder: Path) -> Path:
    return pattern(folder / "short.mp4", 5)


def of_two_shapes(folder: Path) -> Path:
    for number in range(12):
        Image.new("RGB", (64, 48) if number % 2 else (64, 40)).save(folder / f"{number}.png")
    return folder


KINDS: dict[Callable[[Path], Path], str] = {
    without_index: "its index is missing (moov atom not found)",
    high_range: "is high dynamic range (HLG); convert it to standard range",
    nothing: "is not a video that ffmpeg can read",
    too_short: "5-frame clip; at least 8 frames",
    of_two_shapes: "of different sizes (6 of",
}


@pytest.mark.parametrize("make", KINDS)
def test_both_doors_say_the_same_in_one_line(make: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from nerfstudio.scripts import train as script

    (tmp_path / "clip").mkdir()
    clip = make(tmp_path / "clip")
    assert main.run(Capture(clip, tmp_path / "scene")) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("nerfsem: error: ") and KINDS[make] in said
    config = trainer_config("smoke")
    config.data = config.pipeline.datamanager.data = clip
    config.output_dir, config.vis = tmp_path / "out", "none"
    with pytest.raises(SystemExit) as stop:
        script.main(config)
    assert stop.value.code == 2 and capsys.readouterr().err.splitlines()[-1] == said.strip()


# More of the kinds that strangers send ---------------------------------------------------------------------------------


def test_two_covers_are_no_frames(tmp_path: Path) -> None:
    plain = pattern(tmp_path / "plain.mp4", 10)
    for colour in ("red", "blue"):
        Image.new("RGB", (640, 480), colour).save(tmp_path / f"{colour}.jpg")
    covered = tmp_path / "covered.mp4"
    covers = ("-disposition:v:0", "attached_pic", "-disposition:v:2", "attached_pic")
    inputs = ("-i", tmp_path / "red.jpg", "-i", plain, "-i", tmp_path / "blue.jpg")
    ffmpeg(*inputs, "-map", 0, "-map", 1, "-map", 2, "-c", "copy", *covers, covered)
    assert same(pictures(covered), pictures(plain))


def test_subtitles_and_sound_change_no_frame(tmp_path: Path) -> None:
    plain = pattern(tmp_path / "plain.mp4", 10)
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:00,900\nA vase\n")
    talking = tmp_path / "talking.mkv"
    sound = ("-f", "lavfi", "-i", "sine=duration=3")
    ffmpeg("-i", tmp_path / "words.srt", *sound, "-i", plain, "-map", 0, "-map", 1, "-map", 2, "-c:v", "copy", talking)
    assert same(pictures(talking), pictures(plain))


def test_oblong_pixels_of_a_film_held_upright_and_turned(tmp_path: Path) -> None:
    """A turned picture's pixels are oblong across what is then its height."""
    upright = pattern(tmp_path / "upright.mp4", 4, "-vf", "setsar=4/3", size="48x64")
    assert {frame.shape for frame in pictures(upright)} == {(64, 64, 3)}
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", 90, "-i", upright, "-c", "copy", turned)
    assert {frame.shape for frame in pictures(turned)} == {(64, 64, 3)}
    wide = pattern(tmp_path / "wide.mp4", 4, "-vf", "setsar=2/1", size="48x64")
    ffmpeg("-display_rotation", 90, "-i", wide, "-c", "copy", turned)
    assert {frame.shape for frame in pictures(turned)} == {(96, 64, 3)}
