from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from profiler import watch
from profiler.busy_threads import Drawn
from profiler.containers import TargetMemory
from profiler.kernel import Program
from profiler.observed import GroupWindow, Turn, WatchedLink
from profiler.watch import Watch
from profiler.watched_links import Link
from profiler.wire import Group, GroupKey

MS = 1_000_000
SECOND = 1_000 * MS
PID = 11
NOW = 77 * SECOND
HIT_NS, SWITCH_NS, ARMING_NS = 8_500, 1_300, 60_000
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

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.link: Link | None = LINK
        self.is_link_there = True
        self.moves = False
        self.asked: list[tuple[int, int]] = []
        self.passing: list[float] = []
        self.thread: Drawn | None = Drawn(7, 1.0)
        self.hit_costs = [float(HIT_NS)]
        self.switch_costs = 0
        self.counted = (0, 4 * MS)
        self.switches = [0]
        self.refusals: dict[str, int] = {}
        self.log: list[str] = []
        self.open: list[tuple[str, int]] = []
        self.rate_limit = folder / "perf_event_max_sample_rate"
        self.rate_limit.write_text("100000\n")
        self.clock_ns = NOW
        clock = SimpleNamespace(monotonic_ns=lambda: self.clock_ns)
        monkeypatch.setattr(watch, "LinkChooser", lambda memory, is_code: self)
        monkeypatch.setattr(watch, "BusyThreads", lambda pid: self)
        monkeypatch.setattr(watch, "CpuWatchpoints", lambda at, program: Cpus(self, at))
        monkeypatch.setattr(watch, "ThreadWatchpoint", lambda at, tid: OnThread(self, at, tid))
        monkeypatch.setattr(watch, "hit_cost_ns", self.hit_cost_ns)
        monkeypatch.setattr(watch, "switch_cost_ns", self.switch_cost_ns)
        monkeypatch.setattr(watch, "read_switches", self.read_switches)
        monkeypatch.setattr(watch, "_RATE_LIMIT", self.rate_limit)
        monkeypatch.setattr(watch, "time", clock)

    def watch(self, budget_ratio: float | None = 0.01) -> Watch:
        memory, program = cast(TargetMemory, None), cast(Program, None)
        return Watch(program, memory, lambda address: True, PID, budget_ratio)

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

    def switch_cost_ns(self) -> float:
        self.may("switch cost")
        self.switch_costs += 1
        return SWITCH_NS / self.switch_costs

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

    def turn_off(self) -> None:
        self._machine.may("off")

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


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


@pytest.fixture
def watching(machine: Machine) -> Watch:
    """A watch that has chosen its link."""
    watching = machine.watch()
    watching.choose(BUSIEST)
    return watching


def window(watching: Watch, followed: int, *groups: GroupWindow, ns: int = 10 * MS) -> int | None:
    watching.begin_window()
    watching.leave_window()
    return watching.end_window(followed, ns, groups)


def turn(watching: Watch, machine: Machine, counted: tuple[int, int], now_ns: int = NOW) -> float:
    machine.counted = counted
    assert watching.begin_turn(now_ns) is not None
    return watching.end_turn(now_ns)


def test_without_a_budget_nothing_is_done(machine: Machine) -> None:
    watching = machine.watch(None)
    watching.choose(BUSIEST)
    assert window(watching, 10, lookups(1000)) is None
    assert watching.begin_turn(NOW) is None
    assert watching.links() == ()
    assert (machine.asked, machine.log, machine.open) == ([], [], [])


def test_where_no_lookup_ended_at_a_node_there_is_no_link(machine: Machine) -> None:
    watching = machine.watch()
    watching.choose(None)
    watching.choose((KEY, replace(GROUP, end_node=0)))
    assert (machine.asked, machine.log, machine.open) == ([], [], [])
    machine.link = None
    watching.choose(BUSIEST)
    assert (machine.log, machine.open) == ([], [])
    machine.link = LINK
    watching.choose(BUSIEST)
    assert machine.open == [("CPUs", 0x7000)]


def test_a_link_is_chosen_once(machine: Machine) -> None:
    watching = machine.watch()
    for _ in range(3):
        watching.choose(BUSIEST)
    assert machine.asked == [(0x1000, 0x7200)]
    assert machine.open == [("CPUs", 0x7000)]
    assert watching.links() == (WatchedLink((), HIT_NS, SWITCH_NS),)


def test_a_link_that_is_gone_when_a_turn_begins_gives_way_to_another(
    machine: Machine, watching: Watch
) -> None:
    machine.is_link_there = False
    assert watching.begin_turn(NOW) is None
    assert machine.open == []
    machine.is_link_there = True
    assert watching.begin_turn(NOW) is None
    watching.choose(BUSIEST)
    assert len(machine.asked) == 2
    assert machine.open == [("CPUs", 0x7000)]
    assert len(watching.links()) == 2
    assert window(watching, 10, lookups(1000)) == 1


def test_a_window_whose_link_is_gone_at_its_end_tells_nothing(
    machine: Machine, watching: Watch
) -> None:
    machine.is_link_there = False
    assert window(watching, 10, lookups(1000)) is None
    assert machine.open == []
    assert machine.passing == []
    watching.choose(BUSIEST)
    assert len(machine.asked) == 2


def test_there_is_a_bound_on_links(machine: Machine) -> None:
    watching = machine.watch()
    for _ in range(300):
        machine.is_link_there = True
        watching.choose(BUSIEST)
        machine.is_link_there = False
        watching.begin_turn(NOW)
    assert len(watching.links()) == len(machine.asked) == 256


def begin_window(watching: Watch) -> None:
    watching.begin_window()


def begin_turn(watching: Watch) -> None:
    assert watching.begin_turn(NOW) is None


def nothing(watching: Watch) -> None:
    pass


@pytest.mark.parametrize(
    ("refused", "then"),
    [
        ("switch cost", nothing),
        ("hit cost", nothing),
        ("watch CPUs", nothing),
        ("on", begin_window),
        ("watch thread", begin_turn),
    ],
)
def test_where_a_watchpoint_is_refused_none_is_tried_again(
    machine: Machine, refused: str, then: Callable[[Watch], None]
) -> None:
    machine.refusals = {refused: errno.ENOSPC}
    watching = machine.watch()
    watching.choose(BUSIEST)
    then(watching)
    assert machine.log[-1] == refused
    assert machine.open == []
    machine.refusals, machine.log = {}, []
    watching.choose(BUSIEST)
    assert window(watching, 10, lookups(1000)) is None
    assert watching.begin_turn(NOW + SECOND) is None
    assert len(machine.asked) == 1
    assert (machine.log, machine.open) == ([], [])


def test_a_hit_cost_that_is_refused_later_ends_it_too(machine: Machine, watching: Watch) -> None:
    machine.refusals = {"hit cost": errno.ENOSPC}
    assert watching.begin_turn(NOW) is None
    machine.refusals = {}
    watching.choose(BUSIEST)
    assert len(machine.asked) == 1
    assert machine.open == []


def test_a_thread_that_has_ended_does_not_end_it(machine: Machine, watching: Watch) -> None:
    machine.refusals = {"watch thread": errno.ESRCH}
    assert watching.begin_turn(NOW) is None
    assert watching.turn_ends_ns is None
    machine.refusals = {}
    assert machine.open == [("CPUs", 0x7000)]
    assert watching.begin_turn(NOW + SECOND - 1) is None
    assert watching.begin_turn(NOW + SECOND) is not None
    assert machine.open == [("CPUs", 0x7000), ("thread 7", 0x7000)]
    watching.close()


def test_as_long_as_no_thread_is_known_one_is_drawn_each_second(
    machine: Machine, watching: Watch
) -> None:
    machine.thread = None
    assert watching.begin_turn(NOW) is None
    machine.thread = Drawn(7, 1.0)
    assert watching.begin_turn(NOW + SECOND - 1) is None
    assert watching.begin_turn(NOW + SECOND) is not None
    watching.end_turn(NOW + SECOND)


@pytest.mark.parametrize(
    ("known", "cpu_ratio", "length_ns"),
    [
        (None, 1.0, 4 * MS),
        (None, 0.5, 8 * MS),
        (None, 0.01, 50 * MS),
        (None, 1.3, 4 * MS),
        ((0, 60 * MS), 1.0, 4 * MS),
        ((60, 60 * MS), 1.0, 30 * MS),  # 30 hits, then
        ((60, 60 * MS), 0.75, 40 * MS),
        ((60, 60 * MS), 0.5, 50 * MS),
        ((10, 60 * MS), 1.0, 50 * MS),
        ((100, 4 * MS), 0.5, 8 * MS),
    ],
)
def test_turns_are_as_long_as_it_takes(
    machine: Machine,
    watching: Watch,
    known: tuple[int, int] | None,
    cpu_ratio: float,
    length_ns: int,
) -> None:
    if known is not None:
        turn(watching, machine, known)
    machine.thread = Drawn(7, cpu_ratio)
    machine.clock_ns = NOW + 9 * SECOND + 123
    until_ns = watching.begin_turn(NOW + 9 * SECOND)
    assert until_ns == watching.turn_ends_ns == machine.clock_ns + length_ns
    watching.end_turn(NOW)
    assert watching.turn_ends_ns is None


def test_all_turns_of_the_link_tell_how_long_the_next_one_takes(
    machine: Machine, watching: Watch
) -> None:
    turn(watching, machine, (5, 10 * MS))
    turn(watching, machine, (40, 20 * MS), NOW + SECOND)
    assert watching.begin_turn(NOW + 9 * SECOND) == NOW + 20 * MS
    watching.end_turn(NOW)


def test_what_a_turn_finds_and_costs(machine: Machine, watching: Watch) -> None:
    machine.switches = [1000, 1003]
    assert turn(watching, machine, (17, 3 * MS)) == 17 * HIT_NS + 3 * SWITCH_NS + ARMING_NS
    assert watching.links() == (WatchedLink((Turn(17, 3 * MS, 3),), HIT_NS, SWITCH_NS),)
    assert machine.open == [("CPUs", 0x7000)]


def test_the_switches_of_a_thread_that_ends_meanwhile_are_unknown(
    machine: Machine, watching: Watch
) -> None:
    machine.switches = [1000, 0]
    assert turn(watching, machine, (17, 3 * MS)) == 17 * HIT_NS + ARMING_NS
    assert watching.links()[0].turns == (Turn(17, 3 * MS, 0),)


def test_a_turn_whose_link_is_gone_costs_and_tells_nothing(
    machine: Machine, watching: Watch
) -> None:
    machine.counted = (17, 3 * MS)
    watching.begin_turn(NOW)
    machine.is_link_there = False
    assert watching.end_turn(NOW) == 17 * HIT_NS + ARMING_NS
    assert watching.links() == (WatchedLink((), HIT_NS, SWITCH_NS),)
    assert machine.open == []


@pytest.mark.parametrize("budget_ratio", [0.01, 0.05])
def test_the_next_turn_waits_until_their_share_of_the_budget_is_kept(
    machine: Machine, budget_ratio: float
) -> None:
    watching = machine.watch(budget_ratio)
    watching.choose(BUSIEST)
    machine.counted = (40, 4 * MS)
    watching.begin_turn(NOW)
    end_ns = NOW + 5 * MS
    cost_ns = watching.end_turn(end_ns)
    assert cost_ns == 40 * HIT_NS + ARMING_NS
    next_ns = end_ns + round(10 * cost_ns / budget_ratio)
    assert watching.begin_turn(next_ns - 1) is None
    assert watching.begin_turn(next_ns) is not None
    watching.close()


def test_windows_are_watched_from_begin_to_leave(machine: Machine, watching: Watch) -> None:
    machine.log.clear()
    watching.begin_window()
    assert machine.log == ["on"]
    watching.leave_window()
    assert machine.log == ["on", "off"]
    assert watching.end_window(10, 10 * MS, (lookups(1000),)) == 0
    assert watching.end_window(10, 10 * MS, (lookups(1000),)) is None
    watching.leave_window()
    assert machine.log == ["on", "off"]


def test_a_window_before_the_first_link_tells_nothing(machine: Machine) -> None:
    watching = machine.watch()
    watching.begin_window()
    watching.leave_window()
    watching.choose(BUSIEST)
    assert watching.end_window(10, 10 * MS, (lookups(1000),)) is None


def test_a_link_that_is_chosen_within_a_window_was_not_watched_in_it(
    machine: Machine, watching: Watch
) -> None:
    watching.begin_window()
    machine.is_link_there = False
    watching.begin_turn(NOW)
    machine.is_link_there = True
    watching.choose(BUSIEST)
    assert watching.end_window(10, 10 * MS, (lookups(1000),)) is None


def test_more_hits_than_the_kernel_surely_passes_on_tell_nothing(
    machine: Machine, watching: Watch
) -> None:
    assert window(watching, 700, lookups(100_000), ns=10 * MS) == 0
    assert window(watching, 701, lookups(100_000), ns=10 * MS) is None
    assert window(watching, 701, lookups(100_000), ns=11 * MS) == 0
    assert machine.passing == [0.007, 0.00701]
    assert machine.open == [("CPUs", 0x7000)]


@pytest.mark.parametrize("text", [None, "many\n"])
def test_where_the_kernel_does_not_say_what_it_passes_on_hits_tell_nothing(
    machine: Machine, watching: Watch, text: str | None
) -> None:
    if text is None:
        machine.rate_limit.unlink()
    else:
        machine.rate_limit.write_text(text)
    assert window(watching, 1, lookups(1000)) is None
    assert window(watching, 0, lookups(1000)) == 0


def test_only_lookups_in_its_container_may_pass_a_link(machine: Machine, watching: Watch) -> None:
    assert window(watching, 10, lookups(150), lookups(5000, 0x9000), lookups(100)) == 0
    assert machine.passing == [10 / 250]


def test_few_lookups_do_not_tell_how_many_pass(machine: Machine, watching: Watch) -> None:
    machine.moves = True
    assert window(watching, 199, lookups(199), lookups(5000, 0x9000)) == 0
    assert machine.passing == []
    assert machine.open == [("CPUs", 0x7000)]
    assert window(watching, 200, lookups(200)) == 0
    assert machine.passing == [1.0]


def test_where_too_many_lookups_pass_another_link_is_chosen(
    machine: Machine, watching: Watch
) -> None:
    machine.moves = True
    assert window(watching, 90, lookups(1000)) == 0
    assert machine.open == []
    assert watching.begin_turn(NOW) is None
    watching.choose(BUSIEST)
    assert machine.open == [("CPUs", 0x7000)]
    machine.moves = False
    assert window(watching, 90, lookups(1000)) == 1
    assert machine.passing == [0.09, 0.09]


@pytest.mark.parametrize(("followed", "is_useless"), [(600, False), (601, True)])
def test_where_most_lookups_pass_any_link_none_is_watched(
    machine: Machine, watching: Watch, followed: int, is_useless: bool
) -> None:
    assert window(watching, followed, lookups(1000)) == 0
    assert (machine.open == []) == is_useless
    machine.is_link_there = False
    watching.begin_turn(NOW)
    watching.choose(BUSIEST)
    assert len(machine.asked) == (1 if is_useless else 2)


def test_a_hit_costs_what_it_does_at_best(machine: Machine) -> None:
    machine.hit_costs = [9_000.0, 8_000.0, 30_000.0, 8_500.0]
    watching = machine.watch()
    assert watching.hit_ns == 0
    watching.choose(BUSIEST)
    assert watching.hit_ns == 9_000
    for index in range(3):
        turn(watching, machine, (0, 4 * MS), NOW + 10 * index * SECOND)
    assert watching.hit_ns == 8_000
    assert machine.switch_costs == 1


def test_what_a_switch_costs_is_measured_every_few_turns(machine: Machine) -> None:
    watching = machine.watch()
    watching.choose(BUSIEST)
    for index in range(16):
        turn(watching, machine, (0, 4 * MS), NOW + 10 * index * SECOND)
    assert machine.switch_costs == 3
    assert watching.links()[0].switch_ns == SWITCH_NS / 3  # the least


def test_closing_takes_everything_away(machine: Machine, watching: Watch) -> None:
    watching.begin_window()
    watching.begin_turn(NOW)
    assert len(machine.open) == 2
    watching.close()
    assert machine.open == []
    assert watching.turn_ends_ns is None
    watching.close()
