"""Thread ids as the target itself sees them: it may live in a pid namespace of its own."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from profiler.process.procfs import PROC, parse_status, read_text


def outer_tids(pid: int, tids: Iterable[int], proc: Path = PROC) -> dict[int, int]:
    """Return the tid that we know for each one that the process knows; those that are there."""
    folder = proc / str(pid) / "task"
    if len(_views(folder / str(pid))) < 2:
        return {tid: tid for tid in tids}
    found = {}
    for tid in tids:
        views = _views(folder / str(tid))
        if views:
            found[views[-1]] = tid
    return found


def _views(folder: Path) -> tuple[int, ...]:
    """Return a thread's ids from our namespace to its own; () when it is gone."""
    with suppress(OSError, ValueError):
        status = parse_status(read_text(folder / "status"))
        return tuple(int(view) for view in status.get("NSpid", ()))
    return ()
