"""Options that several verbs have are written down here, once; `main` keeps to them while a verb runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from nerfsem_method.errors import NerfsemError

BundleIn = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="BUNDLE", help="Read this .nsem file.")]
BundlesIn = Annotated[
    tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="BUNDLE [BUNDLE ...]", help="Read these .nsem files.")
]
AsJson = Annotated[
    bool, tyro.conf.arg(help="Print JSON alone on stdout, for programs: one object, of several bundles a list in their order.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], tyro.conf.arg(help="Render on this device; auto takes a GPU if there is one.")
]


@dataclass(frozen=True)
class Manners:
    """How a command behaves while it works."""

    quiet: bool = False
    """Say nothing but errors, and what --json prints; the exit code tells the rest."""
    log: Path | None = None
    """Append every stage with its times, warnings, versions and errors to this file."""


@dataclass(frozen=True)
class WritingManners(Manners):
    """How a command behaves while it works, and what it may replace."""

    force: bool = False
    """Replace a file that is there, whoever wrote it; never an input, and never a folder of other things."""


def named(bundles: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the bundles. Raises NerfsemError where none is named."""
    if not bundles:
        raise NerfsemError("name one bundle or more, such as relic.nsem")
    return bundles


@contextlib.contextmanager
def kept(verb: object) -> Iterator[None]:
    """Keep to the manners of a verb in the block. Raises OutputError when its log cannot be written."""
    manners = getattr(verb, "manners", None)
    if not isinstance(manners, Manners):
        yield
        return

    from nerfsem_method import files, log, outputs, progress

    with contextlib.ExitStack() as stack:
        if manners.quiet:
            stack.enter_context(progress.silent())
            if not getattr(verb, "json", False):
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
        if isinstance(manners, WritingManners) and manners.force:
            stack.enter_context(outputs.forced())
        if manners.log is not None:
            files.check_writable(manners.log)
            stack.enter_context(log.kept_as(manners.log))
        yield
