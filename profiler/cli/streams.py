"""The standard streams as they are found: some are closed, some break while they are written to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO, TypeVar

from profiler.errors import UsageError

T = TypeVar("T")
_NAMES = ("stdin", "stdout", "stderr")


def open_missing() -> None:
    """Put /dev/null where a standard stream was closed before the start.

    Python has None there, and the next file that is opened would get its number: what a library
    writes as a complaint would then land in a file of results.
    """
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            _occupy(number)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def write_out(render: Callable[[T, TextIO], object], value: T) -> bool:
    """Write data to stdout, return whether it is still read; who stops reading has seen enough."""
    try:
        render(value, sys.stdout)
        sys.stdout.flush()
        return True
    except BrokenPipeError:
        drop(1)
        return False
    except OSError as error:
        hint = "ebpf-prof report FOLDER, which shows again what the results folder holds"
        raise cannot_write(error, hint) from error


def write_bytes(data: bytes) -> None:
    """Write bytes to stdout, as `write_out` does text."""
    write_out(lambda value, out: out.buffer.write(value), data)


def cannot_write(error: OSError, hint: str) -> UsageError:
    """Return the error to raise when stdout refused what was written; no more will be."""
    drop(1)
    return UsageError(f"cannot write to the standard output: {error.strerror}", hint)


def say(errors: TextIO, line: str) -> None:
    """Write a line for people, if there still is somebody who reads."""
    try:
        errors.write(f"{line}\n")
        errors.flush()
    except OSError:
        drop(2)


def leave(code: int) -> NoReturn:
    """End the process at once, when all is closed: Python would take tenths of a second to tidy."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def drop(number: int) -> None:
    """Write to nowhere from now on, so that Python does not complain at exit about what is left."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number)
    os.close(null)


def _occupy(number: int) -> None:
    """Open /dev/null under a number that nothing has."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    os.set_inheritable(number, True)
