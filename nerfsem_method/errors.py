"""A user's input can cause these errors; each message is one line that says what is wrong and what to do."""

import io
import sys

BAD_INPUT = 2
"""A command that was given something it cannot use exits with this code."""


class NerfsemError(Exception):
    """This is the base of every error that the command line reports in one line, with exit code 2.

    What an outer caller knows besides, such as where the log lies, is added by `add_note`.
    """


class CaptureError(NerfsemError):
    """A video, its mattes or its cameras cannot be used."""


class BundleError(NerfsemError):
    """A `.nsem` file is not a bundle that this version can decode."""


class TruncatedBundle(BundleError):
    """The file ends before its END section."""


class CorruptBundle(BundleError):
    """A checksum does not fit, or a section holds values that no encoder writes."""


class UnsupportedBundle(BundleError):
    """The version, or a mandatory section, is unknown."""


class FieldTooLarge(NerfsemError):
    """A field has more to be coded than a bundle may hold."""


class GoalMissed(NerfsemError):
    """A finished bundle misses its wanted size or quality; it came closest, and is kept."""


class OutputError(NerfsemError):
    """A result cannot be written where it was asked for."""


def complain(message: object) -> int:
    """Say on stderr, in one line, why a command stops, and return its exit code."""
    print(f"nerfsem: error: {one_line(message)}", file=sys.stderr)
    return BAD_INPUT


def one_line(message: object) -> str:
    """Return a message, and the notes of an exception, without line breaks and control characters."""
    text = "; ".join([str(message), *getattr(message, "__notes__", [])])
    # bytes of a name that is no UTF-8 stay as they are: the stream knows how to show them
    return " ".join("".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else " " for c in text).split())


def printable(text: str) -> str:
    """Return text of a file that nobody has checked, for a terminal: control characters are replaced."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def speak_anywhere() -> None:
    """Let standard output and error show what their encoding lacks as escapes: no name of a file may stop a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what stands in their place in tests and notebooks takes all
            stream.reconfigure(errors="backslashreplace")
