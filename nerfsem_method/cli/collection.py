"""`nerfsem collection` compresses a folder of clips, on one machine or many, and tells how far that is, and how good."""

from __future__ import annotations

import json as json_format
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from nerfsem_method import pipeline


@dataclass(frozen=True)
class CompressAll:
    """Compress each clip of a folder into a .nsem bundle: videos, folders of photographs, with mattes beside them.

    What is done and unchanged is passed over; what was interrupted goes on; what fails is told with its reason, and stops nothing
    else. Run the same command again after anything.

    Examples:
      nerfsem collection compress clips/ store/ --preset quick
      nerfsem collection compress clips/ store/ --target-size 30kB --metadata pieces.csv
      nerfsem collection compress clips/ store/ --scheduler tcp://10.0.0.1:8786 --resources GPU=1
    """

    clips: tyro.conf.Positional[Path]
    """Take the clips of this folder and of those in it; mattes of relic.mp4 lie in relic_mattes/ beside it."""
    out: tyro.conf.Positional[Path]
    """Fill this folder; it may be new, empty, or an earlier collection, which is brought up to date."""
    options: Annotated[pipeline.Options, tyro.conf.OmitArgPrefixes] = field(default_factory=pipeline.Options)
    workers: int | None = None
    """Work on so many clips at once; by default as many as this machine's cores and memory carry."""
    scheduler: str | None = None
    """Have the workers of this Dask scheduler do the work, such as tcp://10.0.0.1:8786; needs nerfsem[cluster]."""
    resources: tuple[str, ...] = ()
    """Give a clip to a Dask worker that has these free, such as GPU=1 MEMORY=8e9."""
    send_inputs: bool = False
    """Send the clips along with their tasks: the workers need not see their paths."""
    metadata: Path | None = None
    """Write the Dublin Core columns of this CSV file into the bundles; its column "clip" names the clip."""
    again: bool = False
    """Begin clips anew that have failed, although neither they nor the options have changed."""

    def run(self) -> None:
        """Compress. Raises NerfsemError for what cannot be used, or when clips have failed."""
        from nerfsem_method.collection.compress import Means, compress

        means = Means(self.workers, self.scheduler, self.send_inputs, self.resources, self.metadata, self.again)
        compress(self.clips, self.out, self.options, means, tell=_say)


@dataclass(frozen=True)
class Status:
    """Tell how far a collection is: what is done, what failed and why. It may be at work meanwhile.

    Example: nerfsem collection status store/ --json
    """

    out: tyro.conf.Positional[Path]
    """Read this collection."""
    json: bool = False
    """Print one JSON object on stdout, for programs."""

    def run(self) -> None:
        """Tell. Raises NerfsemError for a folder that is no collection."""
        from nerfsem_method.collection.status import as_text, status

        found = status(self.out)
        print(json_format.dumps(found, indent=1) if self.json else as_text(found))


@dataclass(frozen=True)
class VerifyAll:
    """Check every checksum of every bundle of a collection, decode all parts, and compare with what was written.

    Exit code 0 says that all are sound.

    Example: nerfsem collection verify store/
    """

    out: tyro.conf.Positional[Path]
    """Read this collection."""

    def run(self) -> None:
        """Verify. Raises NerfsemError where a bundle is gone or damaged."""
        from nerfsem_method.collection.status import strays, verify
        from nerfsem_method.errors import NerfsemError, printable

        wrong = verify(self.out)
        for line in wrong:
            _say(f"damaged: {line}")
        for path in strays(self.out):
            _say(f"warning: {printable(str(path))} is the bundle of no item that is done")
        if wrong:
            raise NerfsemError(f"{len(wrong)} bundles of {self.out} are not sound; delete them and compress the collection again")
        _say(f"{self.out}: all bundles are sound")


@dataclass(frozen=True)
class Report:
    """Make a page of a collection: posters, sizes, qualities and warnings, the worst captures first.

    Example: nerfsem collection report store/
    """

    out: tyro.conf.Positional[Path]
    """Read this collection, and write its index.html."""

    def run(self) -> None:
        """Report. Raises NerfsemError for a folder that is no collection, or that cannot be written."""
        from nerfsem_method.collection.page import write_page

        print(write_page(self.out))


Action = (
    Annotated[CompressAll, tyro.conf.subcommand("compress")]
    | Annotated[Status, tyro.conf.subcommand("status")]
    | Annotated[VerifyAll, tyro.conf.subcommand("verify")]
    | Annotated[Report, tyro.conf.subcommand("report")]
)


@dataclass(frozen=True)
class Collection:
    """Compress a folder of clips, on one machine or many, so that nothing is lost; see how far it is and how good it came out."""

    action: Annotated[Action, tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes]
    """Do this."""

    def run(self) -> None:
        """Do it. Raises NerfsemError as the action does."""
        self.action.run()


def _say(line: str) -> None:
    print(line, flush=True)
