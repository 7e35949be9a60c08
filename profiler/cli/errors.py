"""What a command ends with: its exit code, and what a user can do about an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

import click

from profiler.cli.streams import drop, say
from profiler.errors import ProfilerError, UsageError, failed_call, scarcity

_ABORTED = 130  # as a shell reports a program that Ctrl-C ended


def run(command: Callable[[], object], errors: TextIO) -> int:
    """Run a command; return its exit code, and write what a user can do about an error."""
    try:
        command()
    except ProfilerError as error:
        _complain(errors, error.message, error.hint)
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path} --help" if context else "ebpf-prof --help"
        _complain(errors, error.format_message(), hint)
        return UsageError.exit_code
    except (KeyboardInterrupt, click.Abort):
        _complain(errors, "aborted; no probe is left", "")
        return _ABORTED
    except BrokenPipeError:  # of --help
        drop(1)
    except (OSError, MemoryError) as error:
        complaint: ProfilerError | None = scarcity(error)
        if complaint is None and isinstance(error, OSError):
            complaint = failed_call(error)
        if complaint is None:
            raise
        _complain(errors, complaint.message, complaint.hint)
        return complaint.exit_code
    return 0


def _complain(errors: TextIO, message: str, hint: str) -> None:
    say(errors, f"ebpf-prof: {message}")
    if hint:
        say(errors, f"  try: {hint}")
