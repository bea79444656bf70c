"""nerfstudio's list of methods asks 26 times for the stack with the lines of its sources, which takes five seconds or more."""

from __future__ import annotations

import inspect
import sys
import traceback


def callers(context: int = 1) -> list[inspect.FrameInfo]:
    """Return the callers of a function without lines of their sources: among thousands of modules those take long to find."""
    frames = traceback.walk_stack(sys._getframe(1))
    return [inspect.FrameInfo(frame, frame.f_code.co_filename, line, frame.f_code.co_name, None, None) for frame, line in frames]


def install() -> None:
    """Put `callers` in the place of `inspect.stack`."""
    inspect.stack = callers
