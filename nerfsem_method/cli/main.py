"""`nerfsem` runs the verbs, and turns what a user can cause into one line and an exit code."""

from __future__ import annotations

import errno
import os
import select
import sys
import warnings
from typing import Annotated, Protocol

import tyro

from nerfsem_method import __version__
from nerfsem_method.cli.capture import Capture
from nerfsem_method.cli.compress import Compress
from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.describe import Describe
from nerfsem_method.cli.doctor import Doctor
from nerfsem_method.cli.evaluate import Evaluate
from nerfsem_method.cli.export import Export
from nerfsem_method.cli.import_bundle import Import
from nerfsem_method.cli.info import Info
from nerfsem_method.cli.render import Render
from nerfsem_method.cli.verify import Verify
from nerfsem_method.cli.view import View
from nerfsem_method.errors import NerfsemError, complain

DESCRIPTION = """\
Store a video of a museum piece in the space of a thumbnail, and play it back.

  nerfsem compress relic.mp4 relic.nsem        video to bundle: capture, training, export
  nerfsem decode relic.nsem relic-again.mp4    bundle to video
  nerfsem view relic.nsem                      look at it in the browser
  nerfsem render relic.nsem turn.mp4           a turn around the object
  nerfsem info relic.nsem                      where the bytes go
  nerfsem evaluate relic.mp4 relic.nsem --output-dir report/
  nerfsem import relic.nsem run/ && ns-viewer --load-config run/config.yml

Each verb explains itself: nerfsem decode --help. nerfsem --version prints the version.
Training under nerfstudio's own command: ns-train nerfsem --data relic.mp4
"""

Verb = (
    Annotated[Compress, tyro.conf.subcommand("compress")]
    | Annotated[Decode, tyro.conf.subcommand("decode")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Describe, tyro.conf.subcommand("describe")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Capture, tyro.conf.subcommand("capture")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""There is no space on the device, no quota is left, or the file is as large as one may be here."""


class Runnable(Protocol):
    """Every verb is runnable."""

    def run(self) -> None: ...


def main() -> None:
    """Parse the command line, run its verb and exit; this is the console script."""
    if sys.argv[1:] == ["--version"]:
        print(f"nerfsem {__version__}")
        return
    verb = tyro.cli(Verb, prog="nerfsem", description=DESCRIPTION, config=(tyro.conf.FlagCreatePairsOff,))
    raise SystemExit(run(verb))


def run(verb: Runnable) -> int:
    """Run a verb and return its exit code.

    It is 2, with one line on stderr, for bad input, 130 for an interrupt, and 0 also when the reader of a pipe leaves.
    """
    # A user can do nothing about the deprecation notices of libraries.
    warnings.filterwarnings("ignore", module=r"(torch|torchvision|nerfstudio)\b")
    try:
        verb.run()
        sys.stdout.flush()
    except NerfsemError as error:
        return complain(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in sys.modules or package.startswith("nerfsem"):
            raise
        return complain(
            f"this needs the package {package}, which an installation for reading lacks: "
            f"python -m pip install 'nerfsem[train]', or make install in a checkout"
        )
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        if error.filename is None:
            raise
        return complain(f"{error.filename}: {(error.strerror or type(error).__name__).lower()}")
    except OSError as error:
        if error.errno in DISK_FULL:
            return complain(f"{(error.strerror or '').lower()}; free space for temporary files and the result, and run again")
        if isinstance(error, BrokenPipeError) and _reader_left():
            return 0
        raise
    except KeyboardInterrupt:
        print("nerfsem: interrupted", file=sys.stderr)
        return 130
    return 0


def _reader_left() -> bool:
    """Return whether it is our own standard output that broke (`nerfsem info x.nsem | head -1`), not a pipe to ffmpeg."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    left = any(event & select.POLLERR for _, event in watch.poll(0))
    if left:  # What is still buffered must not fail again when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return left


if __name__ == "__main__":
    main()
