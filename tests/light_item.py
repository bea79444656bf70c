"""This process stands in the place of an item's: for some clips it has a ready bundle in place of a training, which takes long.

A worker that preloads this module starts the processes of its items from it; all else about them is as it is elsewhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

from nerfsem_method import pipeline
from nerfsem_method.collection import attempt, child

READY = Path(__file__).parent / "golden/dense-fp.nsem"
LIGHT = {f"vase {number}" for number in range(9)}
"""The clips of these names have a ready bundle; one other, the last, is trained."""


def dask_setup(worker: object) -> None:
    """Have items done by this module's process, on a worker that has loaded it."""
    files = {name: getattr(child, name) for name in ("FINDINGS", "BUNDLE", "POSTER", "PAGE")}
    attempt.child = SimpleNamespace(__name__=__name__, **files)  # type: ignore[assignment]


def main() -> None:
    """Do a job as `child` does, but for the training of light clips."""
    real = pipeline.compress

    def compress(source, target, *others, **more) -> None:
        if Path(source).name in LIGHT:
            shutil.copy(READY, target)
        else:
            real(source, target, *others, **more)

    pipeline.compress = compress
    child.main()


if __name__ == "__main__":
    main()
