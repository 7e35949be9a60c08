"""Task processors as they are shown: those whose names differ in numbers only are one.

Times are nanoseconds. Counts are those of the windows, rates are of them, too. `None` is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.quantities import Accounting, Quantiles


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """How many tasks there were, how long they waited in a queue, and how long they ran.

    `waiting` had not begun when watching ended, the oldest since `longest_waiting_ns`; `running`
    had begun and not ended. These are in none of the quantiles.
    """

    pushed: int
    begun: int
    wait_ns: Quantiles
    run_ns: Quantiles
    waiting: int
    running: int
    longest_waiting_ns: int

    @property
    def longest_wait_ns(self) -> int:
        """The longest that a task waited, also one that still did."""
        return max(self.wait_ns.max or 0, self.longest_waiting_ns)

    @property
    def total_ns(self) -> int:
        """All that tasks waited and ran, as far as it was seen."""
        return self.wait_ns.total + self.run_ns.total + self.longest_waiting_ns


@dataclass(frozen=True, slots=True)
class TaskFunction:
    """Tasks of one function."""

    name: str
    pushed_by: str | None  # the function that pushed most of them; None: nobody saw it
    held_ns: int  # as long one of them ran while another task waited in the same task processor
    times: TaskTimes


@dataclass(frozen=True, slots=True)
class QueueLengths:
    """How many tasks waited in the queue of one task processor."""

    max: int | None  # by all that was seen, of the longest
    p99: int | None  # before a push
    least: int | None  # in one that every look found with tasks; None: there is none


@dataclass(frozen=True, slots=True)
class TaskQueue:
    """A task processor, or `count` of them whose names differ in numbers only."""

    name: str  # of several, numbers are N: "pjsip/distributor-N"
    count: int
    tasks_per_s: float
    busy: float  # of these executed a task, on average over the windows
    times: TaskTimes
    lengths: QueueLengths
    functions: tuple[TaskFunction, ...]  # by the time that they ran, the longest first

    @property
    def label(self) -> str:
        """Its name, and how many there are."""
        return f"{self.name} (×{self.count:,})" if self.count > 1 else self.name


@dataclass(frozen=True, slots=True)
class TaskThreads:
    """Threads that run tasks, and run the same."""

    title: str  # what they run
    count: int
    tasks: int
    busy: float  # of them ran a task, on average over the windows
    is_pool: bool  # they run what is pushed to any of several task processors


@dataclass(frozen=True, slots=True)
class TaskProfile:
    """What task processors had to do."""

    covered_ratio: float  # of the recording: where it is 1, counts are those of all of it
    covered_ns: int
    processor_count: int | None  # all that there are, also those without a task
    queues: tuple[TaskQueue, ...]  # by the time that tasks waited and ran in them
    left_out: int  # task processors that are not among these, where names are very many
    threads: tuple[TaskThreads, ...]  # the busiest first
    queued_max: int | None  # tasks that waited in all queues at once; None: nobody looked
    accounting: Accounting
    cost_ns: int
