"""What a finding is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """Threads, containers, source places and task processors, so that outputs can lead there."""

    containers: tuple[int, ...] = ()  # addresses
    places: tuple[str, ...] = ()  # of call sites and operations
    tids: tuple[int, ...] = ()  # the busiest thread of each thread group
    queues: tuple[str, ...] = ()  # names of task processors


def source_place(file: str | None, line: int | None, function: str) -> str:
    """Return where in the source a call is, as far as it is known: "main.c:7 asks"."""
    shown = "" if line is None else f":{line}"
    return f"{file}{shown} {function}" if file else function
