"""The public interface does in a program what the command line does, with arrays in place of files."""

import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from short_clip import write_short_clip
from test_architecture import TRAINING, run
from tiny_field import FRAMES, HEIGHT, WIDTH, opaque_bundle

from nerfsem_method import api
from nerfsem_method.cli.info import Info
from nerfsem_method.codec import nsem
from nerfsem_method.playback.player import Player


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "relic.nsem"
    nsem.write(path, opaque_bundle())
    return path


@pytest.fixture(scope="module")
def bundle(path):
    return api.open_bundle(str(path))


@pytest.fixture(scope="module")
def player(path):
    return Player(nsem.read(path), "cpu")


def test_a_bundle_tells_its_facts_and_cameras(bundle, path):
    facts = bundle.facts
    assert facts["bytes"] == path.stat().st_size == sum(facts["parts"].values())
    assert (bundle.mode, len(bundle), bundle.poses.shape, bundle.colors.shape) == ("pc", FRAMES, (FRAMES, 3, 4), (FRAMES, 3, 4))
    assert (bundle.camera.width, bundle.camera.height) == (WIDTH, HEIGHT)
    bundle.poses[:] = 0  # a copy: nobody changes an open bundle by mistake
    assert bundle.poses.any()


def test_frames_of_other_lenses_are_told(tmp_path, capsys):
    zooms = [1.0, 2.0, 1.0, 1.5] + [1.0] * (FRAMES - 4)
    nsem.write(tmp_path / "relic.nsem", replace(opaque_bundle(background=False), zooms=np.array(zooms)))
    bundle = api.open_bundle(tmp_path / "relic.nsem")
    assert bundle.facts["camera"]["zooms"] == zooms
    assert [bundle.at(index).camera.fy / bundle.camera.fy for index in range(FRAMES)] == zooms
    assert bundle.around(90).camera.fy == bundle.camera.fy
    assert np.array_equal(bundle.render(bundle.at(1), "black"), bundle.frame(1, "fp", "black"))
    Info((tmp_path / "relic.nsem",)).run()
    told = capsys.readouterr().out
    assert "lenses    2 frames were taken by other lenses, of 1.50 to 2.00 times this focal length" in told
    assert "zooms of frames" in told


def test_frames_are_the_decoders(bundle, player):
    whole = list(player.frames("pc"))
    assert np.array_equal(bundle.frame(5), whole[5])
    assert all(np.array_equal(a, b) for a, b in zip(bundle.frames(start=2, stop=4), whole[2:4], strict=True))
    assert np.array_equal(bundle.frame(5, "fp", (9, 8, 7)), player.composited(5, (9, 8, 7)))
    assert np.array_equal(bundle.object(5), player.frame(5))


def test_views_are_rendered_to_arrays(bundle):
    assert np.array_equal(bundle.render(bundle.at(2), "black"), bundle.frame(2, "fp", "black"))
    view = bundle.render(bundle.around(45, 10, size=(30, 20)))
    assert view.shape == (20, 30, 4) and view[10, 15, 3] > 200 and not view[0, 0, 3]


@pytest.mark.parametrize("ask", [
    lambda bundle: bundle.frame(FRAMES), lambda bundle: bundle.object(-1), lambda bundle: bundle.at(FRAMES),
    lambda bundle: list(bundle.frames(start=3, stop=2)), lambda _: api.open_bundle("nowhere.nsem"),
    lambda _: api.evaluate("a.mp4", "a.nsem"), lambda _: api.capture("nowhere.mp4"),
])  # fmt: skip
def test_what_is_not_there_is_told_in_a_line(bundle, ask):
    with pytest.raises(api.NerfsemError) as error:
        ask(bundle)
    assert "\n" not in str(error.value)


def test_training_and_encoding_make_a_bundle_that_opens(bare, vase_scene, tmp_path):
    config = api.train(vase_scene, tmp_path / "work", api.Options(preset="smoke", max_steps=60))
    made = api.encode(config, tmp_path / "out", "fp")
    assert len(api.open_bundle(made)) == len(vase_scene.frames)


def test_everything_public_is_documented_and_typed():
    for name in api.__all__:
        thing = getattr(api, name)
        assert inspect.getdoc(thing), name
        functions = [thing] if inspect.isfunction(thing) else [m for n, m in vars(thing).items() if n[0] != "_"]
        for member in functions:
            if inspect.isfunction(member) and member.__module__ == api.__name__:
                hints = inspect.signature(member)
                assert hints.return_annotation is not inspect.Signature.empty, member
                assert all(p.annotation is not p.empty for p in hints.parameters.values() if p.name != "self"), member


def test_reading_needs_the_readers_packages_alone(path):
    run(f"from nerfsem_method import api; api.open_bundle({str(path)!r}, 'cpu').frame(0)", TRAINING)


def test_the_doctor_tells_what_is_missing_and_how_to_add_it():
    told = run("from nerfsem_method.cli.doctor import Doctor; Doctor().run()", set())
    assert "yes read bundles" in told and "yes segmenter classical" in told
    for line, following in zip(told.splitlines(), [*told.splitlines()[1:], ""], strict=True):
        assert not line.startswith("no ") or "to add it: " in following


def test_the_type_marker_is_in_the_package():
    code = "import importlib.resources as r; print((r.files('nerfsem_method') / 'py.typed').is_file())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


def snippets():
    page = Path(__file__).parents[1] / "docs/api.md"
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_pages_first_snippet_runs(path, monkeypatch, capsys):
    monkeypatch.chdir(path.parent)
    exec(snippets()[0], names := {})
    assert names["side"].shape == (480, 640, 3) and capsys.readouterr().out.startswith(f"{FRAMES} pc ")


@pytest.mark.slow
def test_the_pages_second_snippet_runs(tmp_path, monkeypatch, capsys):
    write_short_clip(tmp_path / "relic.mp4", tmp_path / "mattes")
    monkeypatch.chdir(tmp_path)
    exec(snippets()[1], {})
    assert float(capsys.readouterr().out.split()[-1]) > 5
