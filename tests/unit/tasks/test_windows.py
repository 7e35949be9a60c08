"""When tasks are watched, and what that is charged; on a simulated target."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.model.observed import Calibration
from profiler.tasks import windows
from profiler.tasks.seen_tasks import SeenTasks
from profiler.tasks.windows import TaskWindows
from profiler.windows.bounded_windows import MAX_WINDOWS
from profiler.windows.budget import Governor
from profiler.windows.costs import PLACING_NS
from profiler.wire.tasks import TaskEvent, TaskEventKind, TaskState

SECOND_NS = 1_000_000_000
TRAP_NS = 700


class Target:
    """Programs and probes that only note what is asked of them."""

    def __init__(self) -> None:
        self.now_ns = SECOND_NS
        self.placed = False
        self.admits = False
        self.allowance_ns = 0
        self.known = TaskState()
        self.waiting: list[TaskEvent] = []
        self.refusal = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += max(round(seconds * 1e9), 1)

    def attach(self, pid: int) -> None:
        if self.refusal:
            raise OSError(self.refusal, "refused")
        assert pid == 7
        self.placed = True

    def detach(self) -> None:
        self.placed = False

    def control(self, admit_until_ns: int, allowance_ns: int, event_ns: int) -> None:
        self.admits, self.allowance_ns = admit_until_ns > 0, allowance_ns

    def state(self) -> TaskState:
        return self.known

    def run_time_ns(self) -> int:
        return 0

    def events(self) -> list[TaskEvent]:
        events, self.waiting = self.waiting, []
        return events

    def push(self) -> None:
        self.known = self.known._replace(pushes=self.known.pushes + 1)
        self.waiting.append(TaskEvent(self.now_ns, 1, 2, 3, 4, 0, 0, 5, TaskEventKind.PUSH))

    def begin_and_end(self) -> None:
        self.waiting += [
            TaskEvent(self.now_ns, 1, 2, 3, 0, -1, 9, 5, kind)
            for kind in (TaskEventKind.BEGIN, TaskEventKind.END)
        ]


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    made = Target()
    monkeypatch.setattr(windows, "time", made)
    return made


def watching(target: Target, ratio: float | None) -> tuple[TaskWindows, Governor, SeenTasks]:
    governor = Governor(ratio, target.now_ns, draw=lambda: 0.5)
    seen = SeenTasks()
    programs: Any = target
    process: Any = SimpleNamespace(pid=7)
    calibration = Calibration(TRAP_NS, 7_000, 1_000)
    return TaskWindows(programs, process, governor, calibration, seen), governor, seen


def run_for(target: Target, watched: TaskWindows, duration_ns: int) -> None:
    until_ns = target.now_ns + duration_ns
    while target.now_ns < until_ns:
        due_ns = watched.step(target.now_ns)
        target.now_ns = min(max(due_ns, target.now_ns + 1), until_ns)


def test_without_a_budget_one_window_lasts_as_long_as_the_recording(target: Target) -> None:
    watched, _, _ = watching(target, None)
    run_for(target, watched, 5 * SECOND_NS)
    assert watched.is_open and target.admits
    watched.finish()
    assert [window.duration_ns for window in watched.windows] == [5 * SECOND_NS]
    assert watched.covered_ns == 5 * SECOND_NS
    assert not target.placed and not target.admits


def test_a_window_closes_when_its_allowance_is_spent(target: Target) -> None:
    watched, governor, _ = watching(target, 0.01)
    while not watched.is_open:
        run_for(target, watched, SECOND_NS // 10)
    stopped_ns = target.now_ns - 1_000
    target.known = target.known._replace(
        pushes=5_000, used_up_ns=target.allowance_ns, stopped_ns=stopped_ns
    )
    target.now_ns = watched.step(target.now_ns)
    assert not watched.is_open and not target.admits
    assert watched.windows[-1].end_ns == stopped_ns
    watched.step(target.now_ns)
    assert not target.placed
    assert watched.cost_ns == governor.spent_ns == 5_000 * TRAP_NS + PLACING_NS


def test_the_share_of_the_budget_is_kept(target: Target) -> None:
    watched, governor, _ = watching(target, 0.01)
    for _ in range(3_000):
        run_for(target, watched, SECOND_NS // 100)
        if watched.is_open:  # tasks that take all that they are given
            spent_ns = target.allowance_ns + 1
            pushes = spent_ns // TRAP_NS
            target.known = TaskState(
                spent_ns, pushes, used_up_ns=target.allowance_ns, stopped_ns=target.now_ns
            )
    watched.finish()
    assert 0 < governor.spent_ns < 0.01 * windows.SHARE * 30 * SECOND_NS


def test_what_was_pushed_is_followed_to_its_end(target: Target) -> None:
    watched, _, seen = watching(target, None)
    watched.step(target.now_ns)
    target.now_ns += 1_000
    target.push()
    target.now_ns += 1_000
    watched._close()
    target.now_ns = watched.step(target.now_ns)
    assert target.placed
    target.begin_and_end()
    watched.step(target.now_ns)
    assert not target.placed
    assert seen.sums()[0].wait_ns.count == 1


def test_what_never_begins_is_given_up(target: Target) -> None:
    watched, _, seen = watching(target, None)
    watched.step(target.now_ns)
    target.now_ns += 1_000
    target.push()
    target.now_ns += 1_000
    watched.step(target.now_ns)
    begun_ns = target.now_ns
    watched.finish()
    assert not target.placed
    assert target.now_ns - begun_ns < 3 * SECOND_NS
    assert seen.sums()[0].waiting == 1


def test_a_refusal_is_told_and_nothing_more_is_tried(target: Target) -> None:
    watched, _, _ = watching(target, None)
    target.refusal = errno.EPERM
    watched.step(target.now_ns)
    assert watched.problem == "tasks are not seen: refused"
    target.refusal = 0
    run_for(target, watched, SECOND_NS)
    assert not target.placed


def test_a_target_that_is_gone_is_no_problem(target: Target) -> None:
    watched, _, _ = watching(target, None)
    target.refusal = errno.ESRCH
    watched.step(target.now_ns)
    assert watched.problem is None


def test_many_windows_are_kept_in_bounded_room(target: Target) -> None:
    watched, _, _ = watching(target, None)
    for _ in range(3_000):
        watched.step(target.now_ns)
        target.now_ns += 10
        watched.finish()
    assert len(watched.windows) <= MAX_WINDOWS
    assert sum(one.duration_ns for one in watched.windows) == watched.covered_ns == 30_000
