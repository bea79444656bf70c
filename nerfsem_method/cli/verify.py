"""`nerfsem verify` tells whether bundles are sound."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from nerfsem_method.cli.manners import AsJson, BundlesIn, Manners, named
from nerfsem_method.errors import BundleError, NerfsemError, one_line


@dataclass(frozen=True)
class Verify:
    """Check every checksum of .nsem bundles, decode all their parts and compare the symbols' hash; no rendering.

    Exit code 0 says that all are sound; with 2, a line each says what is wrong with those that are not.

    Examples:
      nerfsem verify relic.nsem
      nerfsem verify archive/*.nsem --quiet
    """

    bundles: BundlesIn
    json: AsJson = False
    manners: Annotated[Manners, tyro.conf.OmitArgPrefixes] = field(default_factory=Manners)

    def run(self) -> None:
        """Verify. Raises NerfsemError when a file is not sound."""
        found = [self._judged(path) for path in named(self.bundles)]
        if self.json:
            findings = [finding for finding, _ in found]
            print(json.dumps(findings[0] if len(findings) == 1 else findings, indent=1))
        problems = [problem for _, problem in found if problem is not None]
        if len(found) > 1 and problems:
            raise NerfsemError(f"{len(problems)} of {len(found)} bundles are not sound")
        if problems:
            raise problems[0]

    def _judged(self, path: Path) -> tuple[dict[str, Any], BundleError | None]:
        problem = None
        try:
            finding = _examine(path)
            text = "sound; {mode}, {frames} frames, {width} x {height}".format(**finding)
        except BundleError as error:
            problem = error
            finding = {"bundle": str(path), "sound": False, "problem": one_line(error)}
            text = f"not sound: {finding['problem']}"
        if not self.json and (problem is None or len(self.bundles) > 1):
            print(f"{path}: {text}", flush=True)
        return finding, problem


def _examine(path: Path) -> dict[str, Any]:
    from nerfsem_method.background.sound import read_sound

    bundle = read_sound(path)
    video = bundle.video
    shape = {"frames": video.frames, "width": video.width, "height": video.height}
    return {"bundle": str(path), "sound": True, "mode": bundle.mode, **shape}
