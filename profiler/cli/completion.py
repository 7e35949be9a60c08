"""Completion of commands, options and files in a shell, as click makes it.

A shell sources the script once; on each Tab that runs ebpf-prof again, with what was typed until
then in its environment, and without root.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class, shell_complete

from profiler.errors import UsageError


def script(commands: click.Command, variable: str, shell: str) -> str:
    """Return what a shell of this kind has to source."""
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell!r} is known", "ebpf-prof completion bash")
    return kind(commands, {}, "ebpf-prof", variable).source()


def answer(commands: click.Command, variable: str, instruction: str) -> int:
    """Print what may follow; return the exit code."""
    return shell_complete(commands, {}, "ebpf-prof", variable, instruction)
