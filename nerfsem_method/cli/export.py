"""`nerfsem export` turns a trained run into a bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from nerfsem_method.background.options import BackgroundOptions
from nerfsem_method.cli.manners import WritingManners


@dataclass(frozen=True)
class Export:
    """Write a trained run as OUTPUT_DIR/<clip>-<mode>.nsem; the same as ns-export nerfsem-bitstream.

    Example: nerfsem export --load-config outputs/relic/nerfsem/2025-01-31_120000/config.yml --output-dir out --mode pc
    """

    load_config: Path
    """Take the run of this config.yml."""
    output_dir: Path
    """Write the bundle into this folder, which is made if missing."""
    mode: Literal["fp", "pc"] = "fp"
    """fp keeps the object alone, pc the object and its background, the full video."""
    background: Annotated[BackgroundOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=BackgroundOptions)
    manners: Annotated[WritingManners, tyro.conf.OmitArgPrefixes] = field(default_factory=WritingManners)

    def run(self) -> None:
        """Export. Raises NerfsemError when the run has no checkpoint or the bundle cannot be written."""
        from nerfsem_method.api import encode

        path = encode(self.load_config, self.output_dir, self.mode, self.background)
        print(f"{path}: {path.stat().st_size} bytes")
