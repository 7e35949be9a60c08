"""Measures how often lookups follow one link of a chain, inside windows and outside of them.

What the target's own work was inside a window is told by its CPU time without ours. Where a lookup
takes less time than a trap, that is a small difference of large numbers. The link tells it better:
work that follows the link as often is as much work. Outside of windows one thread at a time is
watched, for a few milliseconds, and only lookups that pass the link are trapped.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from profiler.busy_threads import BusyThreads, Drawn
from profiler.containers import TargetMemory
from profiler.kernel import Program
from profiler.observed import GroupWindow, Turn, WatchedLink
from profiler.thread_use import read_switches
from profiler.watched_links import Link, LinkChooser
from profiler.watchpoints import CpuWatchpoints, ThreadWatchpoint, hit_cost_ns
from profiler.wire import Group, GroupKey

# Part of the budget that turns may take.
_SHARE = 0.1
_WANTED_HITS = 30
# A watchpoint is in place for some 20 us before its thread goes on: turns are much longer.
_LEAST_RUNNING_NS = 4_000_000
_LONGEST_NS = 50_000_000
_ARMING_NS = 60_000  # that a turn takes from the thread beside its hits; docs/overhead.md
_AGAIN_NS = 1_000_000_000
# What a switch of the watched thread is charged as, in hits: the debug register is written as well.
# Beside busy CPUs it took 3 us of ours where a hit took 4.
_SWITCH_HITS = 0.75
_MOST_LINKS = 256
# Windows with fewer lookups do not tell how many of them pass a link.
_LEAST_LOOKUPS = 200
# A link that more of the lookups pass is no better than a probe that all of them hit.
_USELESS_RATIO = 0.6
# Of all hits in a window, those that the program has to have seen.
_LEAST_SEEN_RATIO = 0.99


@dataclass(slots=True)
class _Watched:
    """A link, and what is known of it."""

    link: Link
    turns: list[Turn] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A thread that is watched now."""

    tid: int
    watchpoint: ThreadWatchpoint
    until_ns: int
    switches: int  # of the thread before


class Watch:
    """Windows and turns with a watched link. Does nothing where there are no watchpoints."""

    def __init__(
        self,
        program: Program,
        memory: TargetMemory,
        is_code: Callable[[int], bool],
        pid: int,
        budget_ratio: float | None,
    ) -> None:
        self._program = program
        self._chooser = LinkChooser(memory, is_code)
        self._pid = pid
        self._threads = BusyThreads(pid)
        self._ratio = budget_ratio
        self._is_possible = budget_ratio is not None  # without a budget, nothing only counts
        self._watched: list[_Watched] = []
        self._is_chosen = False  # the last one of them is in use
        self._cpus: CpuWatchpoints | None = None
        self._is_watching = False
        self._hits = 0  # in the last window
        self._turn: _Turn | None = None
        self._next_ns = 0
        self._hit_costs: list[float] = []

    @property
    def hit_ns(self) -> float:
        """What one hit costs on this machine at best; 0 until it is known.

        On a CPU that was idle just now a hit takes half as much again; the target's are busy.
        """
        return min(self._hit_costs, default=0.0)

    def links(self) -> tuple[WatchedLink, ...]:
        """Return what was measured in turns."""
        return tuple(WatchedLink(tuple(seen.turns), self.hit_ns) for seen in self._watched)

    def choose(self, busiest: tuple[GroupKey, Group] | None) -> None:
        """Find a link to watch where many lookups go, if none is watched."""
        if busiest is None or self._is_chosen or not self._is_possible:
            return
        if len(self._watched) == _MOST_LINKS:
            return
        key, group = busiest
        link = self._chooser.choose(key.container, group.end_node) if group.end_node else None
        if link is None or not self._learn_hit_cost():
            return
        try:
            self._cpus = CpuWatchpoints(link.address, self._program)
        except OSError:
            self._give_up()
            return
        self._watched.append(_Watched(link))
        self._is_chosen = True

    # -- windows ------------------------------------------------------------------------------

    def begin_window(self) -> None:
        """Watch whoever follows the link, on all CPUs."""
        if self._cpus is not None:
            try:
                self._cpus.turn_on()
                self._is_watching = True
            except OSError:
                self._give_up()

    def leave_window(self) -> None:
        """Watch no more."""
        if self._is_watching and self._cpus is not None:
            self._hits = self._cpus.turn_off()

    def end_window(self, followed: int, seen: int, groups: tuple[GroupWindow, ...]) -> int | None:
        """Return the index of the link that was watched in the window that was left, if any.

        None as well when the program saw fewer hits than there were: the kernel may leave out some
        where they are many, and another process may use the same address.
        """
        if not self._is_watching:
            return None
        self._is_watching = False
        index = len(self._watched) - 1
        if not self._is_there() or seen < _LEAST_SEEN_RATIO * self._hits:
            return None
        container = self._watched[index].link.container
        lookups = sum(group.measured for group in groups if group.key.container == container)
        if lookups >= _LEAST_LOOKUPS:
            passing_ratio = followed / lookups
            if self._chooser.move(passing_ratio):
                self._forget()
            elif passing_ratio > _USELESS_RATIO:
                self._give_up()
        return index

    # -- turns --------------------------------------------------------------------------------

    def begin_turn(self, now_ns: int) -> int | None:
        """Watch one thread, if it is time to; return until when."""
        if now_ns < self._next_ns or not self._is_there():
            return None
        self._next_ns = now_ns + _AGAIN_NS
        drawn = self._threads.draw(now_ns)
        if drawn is None or not self._learn_hit_cost():
            return None
        try:
            watchpoint = ThreadWatchpoint(self._watched[-1].link.address, drawn.tid)
        except OSError as error:
            if error.errno != errno.ESRCH:
                self._give_up()
            return None
        until_ns = time.monotonic_ns() + self._length_ns(drawn)
        switches = read_switches(self._pid, drawn.tid)
        self._turn = _Turn(drawn.tid, watchpoint, until_ns, switches)
        return until_ns

    @property
    def turn_ends_ns(self) -> int | None:
        """When the turn ends that has begun; None: there is none."""
        return self._turn.until_ns if self._turn is not None else None

    def end_turn(self, now_ns: int) -> float:
        """Watch the thread no more; return what the turn cost the target, in nanoseconds."""
        assert self._turn is not None
        turn, self._turn = self._turn, None
        switches = max(read_switches(self._pid, turn.tid) - turn.switches, 0)
        followed, running_ns = turn.watchpoint.close()
        cost_ns = (followed + _SWITCH_HITS * switches) * self.hit_ns + _ARMING_NS
        if self._is_there():
            self._watched[-1].turns.append(Turn(followed, running_ns, switches))
        if self._ratio:
            self._next_ns = now_ns + round(cost_ns / (_SHARE * self._ratio))
        return cost_ns

    def _length_ns(self, drawn: Drawn) -> int:
        turns = self._watched[-1].turns
        followed = sum(turn.followed for turn in turns)
        running_ns = sum(turn.running_ns for turn in turns)
        wanted_ns = _WANTED_HITS * running_ns / followed if followed else 0.0
        wanted_ns = max(wanted_ns, _LEAST_RUNNING_NS)
        return round(min(wanted_ns / min(drawn.cpu_ratio, 1.0), _LONGEST_NS))

    # -- both ---------------------------------------------------------------------------------

    def _is_there(self) -> bool:
        """Tell whether a link is watched that is still one; if not, another one may be chosen."""
        if self._is_chosen and not self._chooser.is_there(self._watched[-1].link):
            self._forget()
        return self._is_chosen

    def _learn_hit_cost(self) -> bool:
        try:
            self._hit_costs.append(hit_cost_ns())
        except OSError:
            self._give_up()
        return self._is_possible

    def _forget(self) -> None:
        self._is_chosen = self._is_watching = False
        if self._cpus is not None:
            self._cpus.close()
            self._cpus = None

    def _give_up(self) -> None:
        self._is_possible = False
        self._forget()

    def close(self) -> None:
        """Take everything away."""
        if self._turn is not None:
            self._turn.watchpoint.close()
            self._turn = None
        self._forget()
