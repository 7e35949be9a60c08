from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from profiler.linux.realtime import RealtimePriority

BEFORE = (os.SCHED_BATCH, 0)
REALTIME = (os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_get_priority_min(os.SCHED_RR))


class Scheduler:
    """How we are scheduled, as the kernel would know it."""

    def __init__(self) -> None:
        self.now = BEFORE
        self.changes: list[tuple[int, int]] = []
        self.refuses = False

    def set(self, _pid: int, policy: int, parameter: os.sched_param) -> None:
        if self.refuses:
            raise PermissionError(errno.EPERM, "refused")
        self.now = (policy, parameter.sched_priority)
        self.changes.append(self.now)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Scheduler()
    monkeypatch.setattr(os, "sched_getscheduler", lambda _pid: made.now[0])
    monkeypatch.setattr(os, "sched_getparam", lambda _pid: os.sched_param(made.now[1]))
    monkeypatch.setattr(os, "sched_setscheduler", made.set)
    return made


def test_we_run_as_before_when_it_ends(scheduler: Scheduler) -> None:
    priority = RealtimePriority()
    priority.begin()
    assert scheduler.now == REALTIME
    priority.end()
    assert scheduler.now == BEFORE


def test_beginning_twice_does_not_forget_how_we_ran_before(scheduler: Scheduler) -> None:
    priority = RealtimePriority()
    priority.begin()
    priority.begin()
    priority.end()
    priority.end()
    assert scheduler.changes == [REALTIME, BEFORE]


def test_who_may_not_runs_as_before(scheduler: Scheduler) -> None:
    scheduler.refuses = True
    priority = RealtimePriority()
    priority.begin()
    scheduler.refuses = False
    priority.end()
    assert scheduler.changes == []


def test_it_can_begin_again(scheduler: Scheduler) -> None:
    priority = RealtimePriority()
    for _ in range(2):
        priority.begin()
        priority.end()
    assert scheduler.changes == [REALTIME, BEFORE] * 2
