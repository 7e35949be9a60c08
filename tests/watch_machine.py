"""A target with links in a chain for the tests of Watch, and watchpoints that may be refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from profiler import watch
from profiler.busy_threads import Drawn
from profiler.containers import TargetMemory
from profiler.kernel import Program
from profiler.observed import GroupWindow
from profiler.watch import Watch
from profiler.watched_links import Link
from profiler.wire import Group, GroupKey

MS = 1_000_000
SECOND = 1_000 * MS
PID = 11
NOW = 77 * SECOND
HIT_NS, SWITCH_NS, ARMING_NS = 8_500, 6_375, 60_000
LINK = Link(0x7000, 0x7100, 0x1000)
KEY = GroupKey(
    container=0x1000, comparator=0, file=0x3000, function=0x4000, line=5, flags=64, entry=0
)
GROUP = replace(Group(*[0] * len(Group.__dataclass_fields__)), end_node=0x7200)  # type: ignore[arg-type]
BUSIEST = (KEY, GROUP)


def lookups(number: int, container: int = 0x1000) -> GroupWindow:
    return GroupWindow(replace(KEY, container=container), number)


class Machine:
    """A target with links in a chain, and watchpoints that may be refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.link: Link | None = LINK
        self.is_link_there = True
        self.moves = False
        self.asked: list[tuple[int, int]] = []
        self.passing: list[float] = []
        self.thread: Drawn | None = Drawn(7, 1.0)
        self.hit_costs = [float(HIT_NS)]
        self.hits = 0
        self.counted = (0, 4 * MS)
        self.switches = [0]
        self.refusals: dict[str, int] = {}
        self.log: list[str] = []
        self.open: list[tuple[str, int]] = []
        self.clock_ns = NOW
        clock = SimpleNamespace(monotonic_ns=lambda: self.clock_ns)
        monkeypatch.setattr(watch, "LinkChooser", lambda memory, is_code: self)
        monkeypatch.setattr(watch, "BusyThreads", lambda pid: self)
        monkeypatch.setattr(watch, "CpuWatchpoints", lambda at, program: Cpus(self, at))
        monkeypatch.setattr(watch, "ThreadWatchpoint", lambda at, tid: OnThread(self, at, tid))
        monkeypatch.setattr(watch, "hit_cost_ns", self.hit_cost_ns)
        monkeypatch.setattr(watch, "read_switches", self.read_switches)
        monkeypatch.setattr(watch, "time", clock)

    def watch(self, budget_ratio: float | None = 0.01) -> Watch:
        memory, program = cast(TargetMemory, None), cast(Program, None)
        return Watch(program, memory, lambda address: True, PID, budget_ratio)

    def watching(self) -> Watch:
        """Return a watch that has chosen its link."""
        watching = self.watch()
        watching.choose(BUSIEST)
        return watching

    def may(self, what: str) -> None:
        self.log.append(what)
        if what in self.refusals:
            raise OSError(self.refusals[what], "no")

    def choose(self, container: int, node: int) -> Link | None:
        self.asked.append((container, node))
        return self.link

    def is_there(self, link: Link) -> bool:
        assert link == LINK
        return self.is_link_there

    def move(self, passing_ratio: float) -> bool:
        self.passing.append(passing_ratio)
        return self.moves

    def draw(self, now_ns: int) -> Drawn | None:
        return self.thread

    def hit_cost_ns(self) -> float:
        self.may("hit cost")
        return self.hit_costs.pop(0) if len(self.hit_costs) > 1 else self.hit_costs[0]

    def read_switches(self, pid: int, tid: int) -> int:
        assert (pid, tid) == (PID, 7)
        return self.switches.pop(0) if len(self.switches) > 1 else self.switches[0]


class Cpus:
    """Watchpoints on all CPUs."""

    def __init__(self, machine: Machine, address: int) -> None:
        self._machine = machine
        machine.may("watch CPUs")
        self._entry = ("CPUs", address)
        machine.open.append(self._entry)

    def turn_on(self) -> None:
        self._machine.may("on")

    def turn_off(self) -> int:
        self._machine.may("off")
        return self._machine.hits

    def close(self) -> None:
        self._machine.open.remove(self._entry)


class OnThread:
    """A watchpoint on one thread."""

    def __init__(self, machine: Machine, address: int, tid: int) -> None:
        self._machine = machine
        machine.may("watch thread")
        self._entry = (f"thread {tid}", address)
        machine.open.append(self._entry)

    def close(self) -> tuple[int, int]:
        self._machine.open.remove(self._entry)
        return self._machine.counted


def window(watching: Watch, followed: int, *groups: GroupWindow) -> int | None:
    watching.begin_window()
    watching.leave_window()
    return watching.end_window(followed, followed, groups)


def turn(watching: Watch, machine: Machine, counted: tuple[int, int], now_ns: int = NOW) -> float:
    machine.counted = counted
    assert watching.begin_turn(now_ns) is not None
    return watching.end_turn(now_ns)
