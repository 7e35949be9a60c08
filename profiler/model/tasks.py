"""Task processors: what was pushed to their queues, how long it waited, and how long it ran.

Times are integer nanoseconds of CLOCK_MONOTONIC. Addresses are the target's. `None` is unknown.
Tasks are seen in windows: every one that is pushed or begins in one. Queue lengths are looked at
from outside, about once a second, whether a window is open or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from profiler.model.quantities import Accounting, Distribution, Window


class TaskKey(NamedTuple):
    """What tasks have in common that are added up."""

    processor: str  # name
    function: int  # address
    site: int | None  # return address of the push; None: it was not seen


@dataclass(frozen=True, slots=True)
class TaskSums:
    """What was seen of the tasks of one key; see TaskGroup."""

    key: TaskKey
    pushed: int
    begun: int
    wait_ns: Distribution
    run_ns: Distribution
    waiting: int
    running: int
    longest_waiting_ns: int


@dataclass(frozen=True, slots=True)
class QueueLook:
    """One look at the task processors' queues, from outside."""

    time_ns: int
    processors: int  # that there were
    looked_at: int  # of these
    queued: int  # tasks that waited in those looked at
    longest: int


@dataclass(frozen=True, slots=True)
class ObservedTasks:
    """Everything that was seen of task processors in one run."""

    sums: tuple[TaskSums, ...]
    processors: tuple[TaskProcessor, ...]
    threads: tuple[TaskThread, ...]
    looks: tuple[QueueLook, ...]
    windows: tuple[Window, ...]
    covered_ns: int
    accounting: Accounting
    cost_ns: int
    problem: str | None = None  # why nothing more was seen


@dataclass(frozen=True, slots=True)
class TaskProcessor:
    """One task processor that had tasks while it was watched."""

    name: str  # as the target says it; "" where it could not be read
    pushed_lengths: Distribution  # of its queue before each push in a window, where readable
    looks: int  # that found tasks in its queue
    queue_lengths: tuple[tuple[int, int], ...]  # (length, looks that found it), ascending


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks of one function, pushed from one place to one task processor, inside the windows.

    Wait: from the push to the task's begin, of tasks whose push was seen. Run: from its begin to
    its end. A task that had not begun, or not ended, when watching ended is in neither.
    """

    processor: int  # index into Tasks.processors
    function: int | None  # index into Recording.frames
    push_site: int | None  # index into Recording.frames: the call; None: pushed before the window
    pushed: int
    begun: int
    wait_ns: Distribution
    run_ns: Distribution
    waiting: int  # pushed and not begun at the end of watching
    running: int  # begun and not ended
    longest_waiting_ns: int  # of `waiting`, until watching ended


@dataclass(frozen=True, slots=True)
class TaskThread:
    """A thread that ran tasks inside the windows."""

    tid: int
    tasks: int
    run_ns: int  # of a task that itself runs others, theirs are part


@dataclass(frozen=True, slots=True)
class Tasks:
    """Task processors over a recording.

    Accounting: fired are all tasks that were pushed or began in windows; kept are in the groups;
    filtered are pushes that came when their window's allowance was spent; lost found no room.
    Counts are those of the windows: divided by `covered_ratio` they stand for the whole recording.
    """

    windows: tuple[Window, ...]  # in a long run, neighbours are merged
    covered_ns: int
    covered_ratio: float  # of the recording
    processors: tuple[TaskProcessor, ...]  # those with tasks in windows, or in their queue
    processor_count: int | None  # all that there were at the last look; None: they were not found
    groups: tuple[TaskGroup, ...]
    threads: tuple[TaskThread, ...]
    looks: tuple[QueueLook, ...]
    accounting: Accounting
    cost_ns: int  # to the target; part of what all probes took
