"""Keeps us from waiting for a CPU while the target pays for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class RealtimePriority:
    """While open probes cost the target time, nothing else may keep us from the CPU.

    Our part takes microseconds, but on a busy machine it would wait milliseconds for it,
    in which every lookup is trapped for nothing.
    """

    def __init__(self) -> None:
        self._before: tuple[int, os.sched_param] | None = None

    def begin(self) -> None:
        """Run before all ordinary threads, if we are allowed to."""
        if self._before is not None:
            return
        with suppress(OSError):
            before = (os.sched_getscheduler(0), os.sched_getparam(0))
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
            self._before = before

    @contextmanager
    def during(self) -> Iterator[None]:
        """Do so for a while; who had begun before goes on."""
        had_begun = self._before is not None
        self.begin()
        try:
            yield
        finally:
            if not had_begun:
                self.end()

    def end(self) -> None:
        """Run as before."""
        if self._before is None:
            return
        with suppress(OSError):
            os.sched_setscheduler(0, *self._before)
        self._before = None
