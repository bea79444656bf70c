"""`ns-export nerfsem-bitstream` writes a trained run as a bundle.

ns-export has a closed list of commands, `exporter.Commands`, which it hands to tyro.cli. `register` wraps tyro.cli so
that this one argument, and no other, gets one more member. `nerfsem export` is the same without a patch. The commands that are
for other kinds of models end in one line for a run of ours, where nerfstudio's would fail an assertion, and tsdf keeps to the
object's box: it takes what no camera has seen for solid, which the rest of nerfstudio's world is full of.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.errors import NerfsemError, complain

FOREIGN = {
    "ExportGaussianSplat": "is a radiance field, which has no Gaussians; export points or a mesh: pointcloud, poisson or tsdf",
    "ExportMarchingCubesMesh": "has a density, which is no signed distance; export a mesh by poisson or tsdf",
}
"""These commands of ns-export are for other kinds of models; the rest of the line says why, and what is for ours."""


def register() -> None:
    """Add the command if ns-export is what is running; otherwise do nothing."""
    exporter = sys.modules.get("nerfstudio.scripts.exporter")
    if exporter is None:
        return
    original = tyro.cli

    @functools.wraps(original)
    def cli(f: Any, *args: Any, **kwargs: Any) -> Any:
        if f is getattr(exporter, "Commands", None):
            ours = Annotated[_command(exporter), tyro.conf.subcommand(name="nerfsem-bitstream")]
            f = tyro.conf.FlagConversionOff[get_args(f)[0] | ours]
            chosen = original(f, *args, **kwargs)
            if _is_ours(chosen.load_config):
                _refuse(type(chosen).__name__)
                _keep_to_the_object(chosen)
            return chosen
        return original(f, *args, **kwargs)

    tyro.cli = cli


def _is_ours(load_config: Path) -> bool:
    return load_config.is_file() and b"nerfsem_method" in load_config.read_bytes()


def _refuse(command: str) -> None:
    """End the process in one line if a run of nerfsem cannot be exported so."""
    if command in FOREIGN:
        raise SystemExit(complain(NerfsemError(f"a run of nerfsem {FOREIGN[command]}")))


def _keep_to_the_object(command: Any) -> None:
    """Let tsdf look at the scene's box, which is the object's, unless a box is given."""
    kind = type(command)
    if kind.__name__ == "ExportTSDFMesh":
        given = command.bounding_box_min, command.bounding_box_max
        command.use_bounding_box &= given != (kind.bounding_box_min, kind.bounding_box_max)


def _command(exporter: Any) -> type:
    # The class is made late: while plugins are being discovered, exporter.Exporter does not exist yet.
    @dataclass
    class NerfsemBitstream(exporter.Exporter):
        """Write a trained nerfsem run as a .nsem bundle, OUTPUT_DIR/<clip>-<mode>.nsem."""

        mode: Literal["fp", "pc"] = "fp"
        """fp: the object alone. pc: the object and its background, the full video."""
        background: Annotated[BackgroundOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=BackgroundOptions)
        """The background layer of pc."""

        def main(self) -> None:
            """Export the bundle."""
            from nerfsem_method.plugin import checkpoint
            from nerfsem_method.plugin.trainer import ending_in_one_line

            with ending_in_one_line():
                path = checkpoint.export(self.load_config, self.output_dir, self.mode, self.background)
                print(f"{path}: {path.stat().st_size} bytes")

    return NerfsemBitstream
