"""This is the process of one item: `python -m nerfsem_method.collection.child`, with the job on standard input.

Whatever happens to it (a crash, the end of the memory, a kill) happens to this item alone. Standard input stays open as long as
somebody waits: when it ends, be it by `kill -9` of the caller, this process and all that it has started end, too.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from nerfsem_method.collection.job import Job
from nerfsem_method.errors import GoalMissed, NerfsemError, OutputError, one_line
from nerfsem_method.files import refusal, replacing

FINDINGS, BUNDLE, POSTER, PAGE = "findings.json", "bundle.nsem", "poster.webp", "page.html"
"""The child leaves these files in the job's folder."""
POSTER_HEIGHT = 240
"""A poster is so many pixels high: a thousand of them on a page are some megabytes."""


def main() -> None:
    """Do the job, and leave what came of it in the job's folder."""
    job: Job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    folder = Path(job.work)
    findings = _do(job, folder)
    with replacing(folder / FINDINGS) as partial:
        partial.write_text(json.dumps(findings))


def _end_with_the_caller() -> None:
    """Wait for the end of standard input, and end this process with all that it has started: they are one group."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)


def _do(job: Job, folder: Path) -> dict[str, Any]:
    """Make the bundle, poster and page; return the reason why there is no bundle, whether it lasts, and the facts."""
    scene, bundle, page = folder / "work" / "scene", folder / BUNDLE, folder / PAGE
    reason, lasting = "", False
    try:
        _compress(job, folder)
    except GoalMissed as error:
        reason = str(error)  # what came closest is better than nothing, and is kept with this remark
    except (NerfsemError, MemoryError, OSError) as error:
        reason, lasting = _reason(error), isinstance(error, NerfsemError) and not isinstance(error, OutputError)
        bundle.unlink(missing_ok=True)
    facts = _facts(scene)
    if bundle.exists():
        _write_poster(bundle, folder / POSTER)
    if (report := scene / "report.html").exists() and (reason or facts["warnings"]):
        page.write_bytes(report.read_bytes())
    reason = reason.replace(str(report), job.page).replace(str(bundle), "its bundle")  # this folder goes
    return {"reason": one_line(reason), "lasting": lasting, "facts": facts}


def _compress(job: Job, folder: Path) -> None:
    from nerfsem_method.pipeline import compress

    capture = job.options.capture
    if job.mattes:  # who makes mattes, and what helps to, is said for the other items
        none = {"segmenter": "classical", "segmenter_weights": None, "keep_support": False, "object_box": None}
        capture = replace(capture, mattes=Path(job.mattes), **none)
    compress(Path(job.source), folder / BUNDLE, replace(job.options, capture=capture), folder / "work", tell=_say)


def _reason(error: NerfsemError | MemoryError | OSError) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; take smaller frames (--scale), a smaller preset or fewer --workers"
    return refusal(error) if isinstance(error, OSError) else str(error)


def _facts(scene: Path) -> dict[str, Any]:
    """Return what capture and gate have found of a clip, as far as they came."""
    from nerfsem_method.capture.report.figures import read_report
    from nerfsem_method.evaluation.gate import RECORD

    facts: dict[str, Any] = {"warnings": []}
    if (scene / "report.json").exists():
        report = read_report(scene)
        facts |= {"frames": report.frames, "left_out": len(report.unposed), "interpolated": len(report.interpolated)}
        facts |= {"turn_degrees": report.turn_degrees, "reprojection_error_pixels": report.reprojection_error_pixels}
        facts["warnings"] = report.warnings
    if (scene / RECORD).exists():
        facts["psnr_center"] = json.loads((scene / RECORD).read_text())["psnr_center"]
    return facts


def _write_poster(bundle: Path, path: Path) -> None:
    """Write the bundle's first frame, made small."""
    from PIL import Image

    from nerfsem_method.codec import nsem
    from nerfsem_method.playback.player import Player

    picture = Image.fromarray(Player(nsem.read(bundle), "cpu").frame(0))
    picture.thumbnail((4 * POSTER_HEIGHT, POSTER_HEIGHT))
    picture.save(path, quality=85)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
