"""The patch behind `ns-export nerfsem-bitstream` touches one call, and the real console script lists the command."""

import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import tyro
from test_architecture import run

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.errors import NerfsemError
from nerfsem_method.plugin import checkpoint, exporter


@dataclass
class Exporter:
    load_config: Path
    output_dir: Path


@dataclass
class PointCloud(Exporter):
    points: int = 3


@dataclass
class Mesh(Exporter):
    pass


@dataclass
class ExportTSDFMesh(Exporter):
    use_bounding_box: bool = True
    bounding_box_min: tuple[float, float, float] = (-1, -1, -1)
    bounding_box_max: tuple[float, float, float] = (1, 1, 1)


@pytest.fixture
def ns_export(monkeypatch):
    """Put a module of the same shape in the place of nerfstudio's, patch it, and return it."""
    module: Any = types.ModuleType("nerfstudio.scripts.exporter")
    module.Exporter = Exporter
    module.Commands = tyro.conf.FlagConversionOff[
        Annotated[PointCloud, tyro.conf.subcommand("pointcloud")]
        | Annotated[Mesh, tyro.conf.subcommand("poisson")]
        | Annotated[ExportTSDFMesh, tyro.conf.subcommand("tsdf")]
    ]
    monkeypatch.setitem(sys.modules, "nerfstudio.scripts.exporter", module)
    monkeypatch.setattr(tyro, "cli", tyro.cli)
    exporter.register()
    return module


PATHS = ["--load-config", "run/config.yml", "--output-dir", "out"]


def test_the_command_gets_its_options(ns_export, monkeypatch, tmp_path, capsys):
    asked = []
    made = tmp_path / "vase-pc.nsem"
    made.write_bytes(b"12345")
    monkeypatch.setattr(checkpoint, "export", lambda *args: asked.append(args) or made)
    words = ["nerfsem-bitstream", *PATHS, "--mode", "pc", "--background-gop", "90"]
    tyro.cli(ns_export.Commands, args=words).main()
    assert asked == [(Path("run/config.yml"), Path("out"), "pc", BackgroundOptions(gop=90))]
    assert "5 bytes" in capsys.readouterr().out


def test_a_bad_run_is_one_line_and_code_2(ns_export, monkeypatch, capsys):
    def fail(*args):
        raise NerfsemError("the run has no checkpoint")

    monkeypatch.setattr(checkpoint, "export", fail)
    with pytest.raises(SystemExit) as stop:
        tyro.cli(ns_export.Commands, args=["nerfsem-bitstream", *PATHS]).main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "nerfsem: error: the run has no checkpoint\n"


def test_the_other_commands_stay(ns_export):
    assert tyro.cli(ns_export.Commands, args=["pointcloud", *PATHS, "--points", "5"]).points == 5
    assert isinstance(tyro.cli(ns_export.Commands, args=["poisson", *PATHS]), Mesh)


@pytest.mark.parametrize(
    ("run", "given", "takes_it"),
    [
        ("!!python/object:nerfsem_method.plugin.config", [], False),
        ("!!python/object:nerfsem_method.plugin.config", ["--bounding-box-max", "0.2", "0.2", "0.2"], True),
        ("!!python/object:nerfacto", [], True),
    ],
)
def test_tsdf_keeps_to_the_object_unless_a_box_is_given(run, given, takes_it, ns_export, tmp_path):
    config = tmp_path / "config.yml"
    config.write_text(run)
    words = ["tsdf", "--load-config", str(config), "--output-dir", "out", *given]
    assert tyro.cli(ns_export.Commands, args=words).use_bounding_box is takes_it


def test_other_callers_of_tyro_see_no_change(ns_export):
    assert tyro.cli(PointCloud, args=PATHS).points == 3
    two = Annotated[PointCloud, tyro.conf.subcommand("a")] | Annotated[Mesh, tyro.conf.subcommand("b")]
    with pytest.raises(SystemExit):
        tyro.cli(two, args=["nerfsem-bitstream", *PATHS], console_outputs=False)


def test_without_ns_export_nothing_is_patched(monkeypatch):
    monkeypatch.delitem(sys.modules, "nerfstudio.scripts.exporter", raising=False)
    before = tyro.cli
    exporter.register()
    assert tyro.cli is before


SCRIPT = """
import runpy
sys.path.append("tests")
import quick_stack
quick_stack.install()
sys.argv = ["ns-export", "--help"]
try:
    runpy.run_path({script}, run_name="__main__")
except SystemExit as stop:
    assert not stop.code
print([name for name in ("nerfsem_method.plugin.config", "nerfsem_dataparsers.spec") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def told():
    """Return what the real script says of itself, and which of our modules it has found, where heavy libraries are missing."""
    script = Path(sys.executable).with_name("ns-export")
    if not script.exists():
        pytest.skip("ns-export is not beside this Python")
    try:
        return run(SCRIPT.replace("{script}", repr(str(script))), {"pycolmap", "transformers"})
    except AssertionError as failure:
        if "cannot open shared object file" in str(failure):
            pytest.skip(f"ns-export itself does not start here: {failure}")
        raise


@pytest.mark.slow
def test_the_real_script_lists_it(told):
    assert "nerfsem-bitstream" in told and "gaussian-splat" in told


@pytest.mark.slow
def test_plugin_discovery_loads_nothing_heavy(told):
    """nerfstudio loads plugins unguarded: were one to need what is blocked, the script would fail."""
    assert told.splitlines()[-1] == "['nerfsem_method.plugin.config', 'nerfsem_dataparsers.spec']"
