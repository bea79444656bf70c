"""`nerfsem` runs the verbs, and turns what a user can cause into one line and an exit code."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Annotated, Protocol

import tyro

from nerfsem_method import __version__, desk
from nerfsem_method.cli.capture import Capture
from nerfsem_method.cli.collection import Collection
from nerfsem_method.cli.compress import Compress
from nerfsem_method.cli.decode import Decode
from nerfsem_method.cli.describe import Describe
from nerfsem_method.cli.doctor import Doctor
from nerfsem_method.cli.evaluate import Evaluate
from nerfsem_method.cli.export import Export
from nerfsem_method.cli.import_bundle import Import
from nerfsem_method.cli.info import Info
from nerfsem_method.cli.manners import kept
from nerfsem_method.cli.publish import Publish
from nerfsem_method.cli.render import Render
from nerfsem_method.cli.verify import Verify
from nerfsem_method.cli.view import View
from nerfsem_method.errors import NerfsemError, complain, speak_anywhere
from nerfsem_method.files import refusal
from nerfsem_method.stopping import farewell, stoppable

DESCRIPTION = """\
Store a video of a museum piece in the space of a thumbnail, and play it back.

  nerfsem compress relic.mp4 relic.nsem        video to bundle: capture, training, export
  nerfsem decode relic.nsem relic-again.mp4    bundle to video
  nerfsem view relic.nsem                      look at it in the browser
  nerfsem render relic.nsem turn.mp4           a turn around the object
  nerfsem info relic.nsem                      where the bytes go
  nerfsem publish relic.nsem site/             bundle to web page
  nerfsem evaluate relic.mp4 relic.nsem --output-dir report/
  nerfsem collection compress clips/ store/    a folder of clips, overnight
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
    | Annotated[Publish, tyro.conf.subcommand("publish")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Capture, tyro.conf.subcommand("capture")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[Collection, tyro.conf.subcommand("collection")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


class Runnable(Protocol):
    """Every verb is runnable."""

    def run(self) -> None: ...


def main() -> None:
    """Parse the command line, run its verb and exit; this is the console script."""
    speak_anywhere()
    if sys.argv[1:] == ["--version"]:
        print(f"nerfsem {__version__}")
        return
    if sys.argv[1:2] != ["describe"] and any(re.fullmatch("(--[a-z-]+=)?", word) for word in sys.argv[1:]):
        # A path of no letters would be the folder in which one is; `describe` may say nothing of a piece.
        raise SystemExit(complain("one of the words is empty, as a shell variable is that was never set; name a file or folder"))
    try:
        verb = tyro.cli(Verb, prog="nerfsem", description=DESCRIPTION, config=(tyro.conf.FlagCreatePairsOff,))
    except BrokenPipeError:  # `nerfsem --help | head -1`
        raise SystemExit(0 if _reader_left() else 1) from None
    except KeyboardInterrupt as stop:
        raise SystemExit(farewell(stop)) from None
    raise SystemExit(run(verb))


def run(verb: Runnable) -> int:
    """Run a verb and return its exit code.

    It is 2, with one line on stderr, for bad input; 130, 143 or 129, with one line, after an interrupt, SIGTERM or SIGHUP; and 0
    also when the reader of a pipe leaves.
    """
    # A user can do nothing about the deprecation notices of libraries.
    warnings.filterwarnings("ignore", module=r"(torch|torchvision|nerfstudio)\b")
    try:
        with stoppable():
            with kept(verb):
                verb.run()
            sys.stdout.flush()
    except NerfsemError as error:
        return complain(error)
    except ModuleNotFoundError as error:
        return _lacking(error)
    except OSError as error:
        return 0 if isinstance(error, BrokenPipeError) and _reader_left() else complain(refusal(error))
    except MemoryError:
        return complain("there is not enough memory for this; take smaller frames (--scale) or a smaller preset")
    except KeyboardInterrupt as stop:
        return farewell(stop)
    return 0


def _lacking(error: ModuleNotFoundError) -> int:
    """Name the package that is missing. A missing part of our own, or of a package that is there, is raised again."""
    package = (error.name or "").partition(".")[0]
    if package in sys.modules or package.startswith("nerfsem"):
        raise error
    return complain(
        f"this needs the package {package}, which an installation for reading lacks: "
        f"python -m pip install 'nerfsem[train]', or make install in a checkout"
    )


def _reader_left() -> bool:
    """Return whether it is our own standard output that broke (`nerfsem info x.nsem | head -1`), not a pipe to ffmpeg."""
    left = desk.reader_left(sys.stdout.fileno())
    if left:  # What is still buffered must not fail again when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return left


if __name__ == "__main__":
    main()
