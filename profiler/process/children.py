"""What processes that the target started use of the CPU: System(), AGI, MixMonitor.

Processes are looked for once a second, so short ones are met by chance. Their time is not missed:
the kernel adds it to that of the process that waits for them, up to the target. New ones are found
in a list of /proc: /proc/PID/task/TID/children would have to be read for each of 1,000 threads.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from profiler.model.recording import Children, ChildUse
from profiler.process.procfs import PROC, Stat, parse_stat, read_pids, read_text

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MOST_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class _Child:
    """A process below the target, as it was when it was last seen."""

    stat: Stat
    before_ticks: int  # that it had used when the window began

    @property
    def used_ticks(self) -> int:
        return self.stat.cpu_ticks - self.before_ticks

    @property
    def total_ticks(self) -> int:
        return self.stat.cpu_ticks + self.stat.waited_ticks


class ChildProcesses:
    """Measures from when it is made: call sample() regularly, and at the end."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._pid = pid
        self._proc = proc
        self._seen: set[int] = set()  # pids at the last sample
        self._live: dict[int, _Child] = {}
        self._used_ticks: Counter[str] = Counter()  # by name, of those that ended
        self._counts: Counter[str] = Counter()
        self._waited_ticks = 0
        self.sample()
        self._live = {
            pid: _Child(child.stat, child.stat.cpu_ticks) for pid, child in self._live.items()
        }
        self._begun_ticks = self._total_ticks()

    def sample(self) -> None:
        """Look at the processes that there are."""
        target = self._read(self._pid)
        if target is not None:
            self._waited_ticks = target.waited_ticks
        pids = set(read_pids(self._proc))
        new = {pid: stat for pid in pids - self._seen if (stat := self._read(pid)) is not None}
        self._seen = pids
        self._follow()
        while found := [pid for pid, stat in new.items() if self._is_below(stat)]:
            for pid in found:
                self._live[pid] = _Child(new.pop(pid), 0)

    def recorded(self) -> Children:
        """Return what was used until the last sample."""
        used, counts = self._used_ticks.copy(), self._counts.copy()
        for child in self._live.values():
            used[child.stat.name] += child.used_ticks
            counts[child.stat.name] += 1
        # Those that nobody waited for are in no total.
        total_ticks = max(self._total_ticks() - self._begun_ticks, used.total())
        seen = (ChildUse(name, counts[name], ticks * _TICK_NS) for name, ticks in used.items())
        return Children(
            total_ticks * _TICK_NS, tuple(sorted(seen, key=lambda use: (-use.cpu_ns, use.name)))
        )

    def _total_ticks(self) -> int:
        """Return what all used that live or were waited for; it is the same when one ends."""
        return self._waited_ticks + sum(child.total_ticks for child in self._live.values())

    def _read(self, pid: int) -> Stat | None:
        try:
            return parse_stat(read_text(self._proc / str(pid) / "stat"))
        except (OSError, ValueError, IndexError):
            return None

    def _is_below(self, stat: Stat) -> bool:
        return stat.parent_pid == self._pid or stat.parent_pid in self._live

    def _follow(self) -> None:
        """Read the known ones again; add up those that ended."""
        for pid, child in list(self._live.items()):
            stat = self._read(pid)
            if stat is not None and stat.start_ticks == child.stat.start_ticks:
                self._live[pid] = _Child(stat, child.before_ticks)
            else:
                del self._live[pid]
                self._end(child)

    def _end(self, child: _Child) -> None:
        name = child.stat.name
        if name in self._counts or len(self._counts) < _MOST_NAMES:
            self._used_ticks[name] += child.used_ticks
            self._counts[name] += 1
