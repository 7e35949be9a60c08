"""Adds up tasks from the events of a window: which push belongs to which begin, and to which end.

Pure. A queue is first in, first out. So of tasks with the same function and data, the one pushed
first begins first. One that was pushed before the window may look the same: a task before which so
many waited cannot begin sooner than after as many others.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from profiler.model.quantities import Accounting, Distribution
from profiler.model.tasks import TaskKey, TaskSums, TaskThread
from profiler.windows.durations import Durations
from profiler.wire.tasks import TaskEvent, TaskEventKind

_MOST_GROUPS = 10_000
_MOST_THREADS = 10_000
_MOST_WAITING = 100_000
_MOST_DEPTH = 16  # tasks that run tasks of other processors: two in Asterisk
_NEVER_NS = 1 << 62
_Task = tuple[int, int, int]  # task processor, function, data


@dataclass(slots=True)
class _Sums:
    """What is known of one group so far."""

    pushed: int = 0
    begun: int = 0
    wait_ns: Durations = field(default_factory=Durations)
    run_ns: Durations = field(default_factory=Durations)
    waiting: int = 0
    running: int = 0
    longest_waiting_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Pushed:
    """A task that was pushed and has not begun."""

    time_ns: int
    sums: _Sums
    due: int  # begins of its task processor that come before it, at least


@dataclass(frozen=True, slots=True)
class _Running:
    """A task that has begun and not ended."""

    time_ns: int
    task: int
    sums: _Sums


@dataclass(slots=True)
class _Thread:
    """What one thread ran."""

    tasks: int = 0
    run_ns: int = 0


class SeenTasks:
    """The tasks of a run, window by window: open(), note() the events, close(), end()."""

    def __init__(self) -> None:
        self._groups: dict[TaskKey, _Sums] = {}
        self._lengths: dict[str, Durations] = {}
        self._threads: defaultdict[int, _Thread] = defaultdict(_Thread)
        self._pushed: defaultdict[_Task, deque[_Pushed]] = defaultdict(deque)
        self._waiting = 0
        self._begins: Counter[int] = Counter()  # by task processor
        self._running: defaultdict[int, list[_Running]] = defaultdict(list)  # by tid
        self._from_ns = self._until_ns = 0
        self._kept = self._lost = 0

    @property
    def in_flight(self) -> int:
        """Tasks that were pushed or begun in the window, and have not ended."""
        return self._waiting + sum(map(len, self._running.values()))

    def open(self, now_ns: int) -> None:
        """Begin a window: what is pushed or begins from now on counts."""
        self._from_ns, self._until_ns = now_ns, _NEVER_NS

    def close(self, now_ns: int) -> None:
        """End it: what was pushed or begun by now is followed."""
        self._until_ns = now_ns

    def end(self, now_ns: int) -> None:
        """Follow nothing any more."""
        for queue in self._pushed.values():
            for pushed in queue:
                sums = pushed.sums
                sums.waiting += 1
                longest_ns = max(sums.longest_waiting_ns, now_ns - pushed.time_ns)
                sums.longest_waiting_ns = longest_ns
        for stack in self._running.values():
            for running in stack:
                running.sums.running += 1
        for known in (self._pushed, self._running, self._begins):
            known.clear()
        self._waiting = 0

    def note(self, events: Iterable[TaskEvent]) -> None:
        """Take note of events, in the order in which the kernel reported them."""
        for event in events:
            if event.kind == TaskEventKind.PUSH:
                self._push(event)
            elif event.kind == TaskEventKind.BEGIN:
                self._begin(event)
            else:
                self._end(event)

    def _is_inside(self, event: TaskEvent) -> bool:
        return self._from_ns <= event.time_ns < self._until_ns

    def _push(self, event: TaskEvent) -> None:
        if not self._is_inside(event):
            return
        sums = self._group(event, event.site or None)
        if sums is None or self._waiting >= _MOST_WAITING:
            self._lost += 1
            return
        self._kept += 1
        sums.pushed += 1
        if event.length >= 0:
            self._lengths.setdefault(_name(event), Durations()).add(event.length)
        due = self._begins[event.processor] + max(event.length, 0)
        queue = self._pushed[event.processor, event.function, event.data]
        queue.append(_Pushed(event.time_ns, sums, due))
        self._waiting += 1

    def _begin(self, event: TaskEvent) -> None:
        index = self._begins[event.processor]
        self._begins[event.processor] += 1
        sums = self._begun(event, index)
        stack = self._running[event.tid]
        if sums is not None and len(stack) < _MOST_DEPTH:
            stack.append(_Running(event.time_ns, event.task, sums))

    def _begun(self, event: TaskEvent, index: int) -> _Sums | None:
        """Return the group of a task that begins, None for one that is not of this window."""
        identity = (event.processor, event.function, event.data)
        queue = self._pushed.get(identity)
        if queue and index >= queue[0].due:
            pushed = queue.popleft()
            if not queue:
                del self._pushed[identity]
            self._waiting -= 1
            pushed.sums.begun += 1
            pushed.sums.wait_ns.add(event.time_ns - pushed.time_ns)
            return pushed.sums
        if not self._is_inside(event):
            return None
        sums = self._group(event, None)
        if sums is None:
            self._lost += 1
            return None
        self._kept += 1
        sums.begun += 1
        return sums

    def _end(self, event: TaskEvent) -> None:
        stack = self._running.get(event.tid, [])
        while stack:
            running = stack.pop()
            if running.task == event.task:
                run_ns = event.time_ns - running.time_ns
                running.sums.run_ns.add(run_ns)
                self._ran(event, run_ns, is_outermost=not stack)
                break
            running.sums.running += 1  # its end was lost
        if not stack:
            self._running.pop(event.tid, None)

    def _ran(self, event: TaskEvent, run_ns: int, is_outermost: bool) -> None:
        if event.tid not in self._threads and len(self._threads) >= _MOST_THREADS:
            return
        thread = self._threads[event.tid]
        thread.tasks += 1
        thread.run_ns += run_ns if is_outermost else 0

    def _group(self, event: TaskEvent, site: int | None) -> _Sums | None:
        key = TaskKey(_name(event), event.function, site)
        if key not in self._groups and len(self._groups) >= _MOST_GROUPS:
            return None
        return self._groups.setdefault(key, _Sums())

    def sums(self) -> tuple[TaskSums, ...]:
        """Return all groups."""
        return tuple(
            TaskSums(
                key,
                sums.pushed,
                sums.begun,
                sums.wait_ns.distribution(),
                sums.run_ns.distribution(),
                sums.waiting,
                sums.running,
                sums.longest_waiting_ns,
            )
            for key, sums in self._groups.items()
        )

    def lengths(self) -> dict[str, Distribution]:
        """Return how long queues were before each push, by the name of the task processor."""
        return {name: lengths.distribution() for name, lengths in self._lengths.items()}

    def threads(self) -> tuple[TaskThread, ...]:
        """Return who ran tasks."""
        return tuple(
            TaskThread(tid, thread.tasks, thread.run_ns) for tid, thread in self._threads.items()
        )

    def accounting(self, refused: int, lost: int) -> Accounting:
        """Return where tasks went; `refused` and `lost` are what the kernel did not report."""
        kept, missed = self._kept, self._lost + lost
        return Accounting(fired=kept + refused + missed, kept=kept, filtered=refused, lost=missed)


def _name(event: TaskEvent) -> str:
    return event.name.partition(b"\0")[0].decode(errors="surrogateescape")
