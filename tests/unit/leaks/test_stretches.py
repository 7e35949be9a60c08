"""When objects are watched, on a simulated target."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.leaks import stretches
from profiler.leaks.stretches import Stretch
from profiler.model.observed import Calibration
from profiler.windows.budget import Governor
from profiler.windows.costs import PLACING_NS
from profiler.wire.leaks import ObjectControl, ObjectState, ObjectWatch

SECOND_NS = 1_000_000_000
STEP_NS = 1_000_000


class Target:
    """A target in which so much per second is spent while probes are placed."""

    def __init__(self) -> None:
        self.now_ns = SECOND_NS
        self.placed = False
        self.control = ObjectControl(*[0] * 10)
        self.state = ObjectState()
        self.cost_ratio = 0.02
        self.refuses = False
        self.events: list[str] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def get(self, _key: bytes) -> bytes:
        return self.state.encode()

    def set(self, _key: bytes, value: bytes) -> None:
        self.control = ObjectControl.decode(value)

    def attach(self, watch: ObjectWatch, probes: object, pid: int) -> None:
        assert (watch, pid, self.control.window) == (ObjectWatch.ALL, 7, 0)
        if self.refuses:
            raise OSError(errno.ENOMEM, "no memory")
        self.placed = True
        self.events.append("attach")

    def detach(self, _watch: ObjectWatch) -> None:
        assert not self.control.window  # nothing is recorded while the probes go
        self.placed = False
        self.events.append("detach")

    def run_time_ns(self, _watch: ObjectWatch) -> int:
        return 0

    def advance(self, step_ns: int = STEP_NS) -> None:
        self.now_ns += step_ns
        if not self.placed:
            return
        spent_ns = self.state.spent_ns + round(self.cost_ratio * step_ns)
        used_up_ns = self.control.allowance_ns if spent_ns > self.control.allowance_ns else 0
        self.state = ObjectState(spent_ns, spent_ns, used_up_ns)


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    made = Target()
    monkeypatch.setattr(stretches, "time", made)
    yield made


def governor(ratio: float | None = 0.01) -> Governor:
    return Governor(ratio, SECOND_NS, lambda: 0.5, 20_000_000)


def stretch(target: Target, limit: Governor, probes: tuple[Any, ...] = (None,)) -> Stretch:
    programs: Any = SimpleNamespace(
        module=SimpleNamespace(map=lambda _name: target),
        attach=target.attach,
        detach=target.detach,
        run_time_ns=target.run_time_ns,
    )
    process: Any = SimpleNamespace(pid=7)
    priority: Any = SimpleNamespace(begin=lambda: None, during=nullcontext)
    calibration = Calibration(700, 7_000, 500)
    made = Stretch(ObjectWatch.ALL, programs, probes, process, calibration, limit, limit, priority)
    made.before_close = lambda: target.events.append("before close")
    made.after_open = lambda: target.events.append("after open")
    return made


def run(target: Target, watched: Stretch, seconds: float) -> None:
    for _ in range(round(seconds * SECOND_NS / STEP_NS)):
        target.advance()
        watched.step(target.now_ns)


def test_it_opens_and_closes_and_stays_within_its_budget(target: Target) -> None:
    limit = governor()
    watched = stretch(target, limit)
    run(target, watched, 60)
    watched.close()
    assert len(watched.windows) > 2
    taken_ns = target.state.trap_ns + PLACING_NS * len(watched.windows)
    assert limit.spent_ns == pytest.approx(taken_ns, abs=len(watched.windows))
    assert taken_ns <= 0.01 * 60 * SECOND_NS
    assert sum(window.cost_ns for window in watched.windows) == pytest.approx(taken_ns, abs=100)


def test_what_costs_little_is_watched_all_the_time(target: Target) -> None:
    target.cost_ratio = 0.0001
    watched = stretch(target, governor())
    run(target, watched, 30)
    assert watched.is_open and target.events == ["attach", "after open"]


def test_others_look_before_it_closes_and_after_it_opened(target: Target) -> None:
    watched = stretch(target, governor())
    run(target, watched, 20)
    watched.close()
    assert target.events[:4] == ["attach", "after open", "before close", "detach"]


def test_its_last_moment_is_before_the_programs_are_told_to_stop(target: Target) -> None:
    watched = stretch(target, governor(None))
    watched.step(target.now_ns)
    target.advance(SECOND_NS)
    watched.close()
    (window,) = watched.windows
    assert (window.start_ns, window.end_ns) == (SECOND_NS, 2 * SECOND_NS)


def test_it_waits_until_there_is_enough_to_open(target: Target) -> None:
    limit = governor()
    watched = stretch(target, limit)
    watched.least_level_ns = 0.9 * limit.depth_ns
    run(target, watched, 4)
    assert not watched.is_open
    run(target, watched, 2)
    assert watched.windows or watched.is_open


def test_objects_are_chosen_while_enough_is_left(target: Target) -> None:
    limit = governor()
    watched = stretch(target, limit)
    watched.least_level_ns, watched.birth_level_ns = 0.9 * limit.depth_ns, 0.5 * limit.depth_ns
    while not watched.is_open:
        run(target, watched, 0.01)
    first = target.control
    assert target.state.spent_ns < first.birth_allowance_ns < first.allowance_ns
    while watched.is_open and target.state.spent_ns < first.birth_allowance_ns:
        run(target, watched, 0.01)
    run(target, watched, 0.3)
    assert target.control.birth_allowance_ns <= first.birth_allowance_ns + STEP_NS


def test_without_a_probe_it_never_opens(target: Target) -> None:
    watched = stretch(target, governor(None), probes=())
    run(target, watched, 1)
    assert not watched.is_open and target.events == []


def test_probes_that_the_kernel_refuses_leave_it_closed(target: Target) -> None:
    target.refuses = True
    watched = stretch(target, governor(None))
    with pytest.raises(OSError, match="no memory"):
        watched.step(target.now_ns)
    assert not watched.is_open and not target.control.window


def test_it_is_young_for_a_moment_and_looked_at_then(target: Target) -> None:
    watched = stretch(target, governor(None))
    until_ns = watched.step(target.now_ns)
    assert until_ns == SECOND_NS + 50_000_000
    assert watched.is_young(until_ns - 1) and not watched.is_young(until_ns)
    assert watched.step(until_ns) > until_ns
