"""A job is what a worker is asked to do with one item; an outcome is what comes back, whole, for the one process that writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nerfsem_method.pipeline import Options


@dataclass(frozen=True)
class Job:
    """A job is one item to be compressed.

    Attributes:
        name: The item's name.
        source: The clip's path where the work is done; where files are sent along, its name among them.
        mattes: The same of its mattes; None without any.
        options: All items of a collection are compressed with the same options.
        page: The capture's page will lie here, which reasons name.
        work: The work is done in this folder; what is done there is found again.
        threads: So many threads do the work.
        files: The files that are sent along, with their names.
    """

    name: str
    source: str
    mattes: str | None
    options: Options
    page: str
    work: str = ""
    threads: int = 1
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """An outcome is a bundle, or the reason why there is none.

    Attributes:
        bundle: The bundle's bytes; None where the item failed.
        poster: A picture of the first frame, WebP.
        page: The capture's page, where it has something to say.
        facts: Figures of the capture and of the decoded bundle.
        reason: It failed for this reason; beside a bundle, what its owner must know.
        lasting: The reason lies in the clip: another try would end in the same way.
        log: These are the last lines of what was told on the way.
        seconds: The work took so long.
    """

    bundle: bytes | None = None
    poster: bytes | None = None
    page: bytes | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    lasting: bool = False
    log: str = ""
    seconds: float = 0.0
