"""What one run observed, in the kernel's terms: keys, addresses and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from profiler.model import recording as rec
from profiler.model.links import ObservedLinks
from profiler.model.observed_offcpu import ObservedOffCpu
from profiler.model.recording import ThreadUse
from profiler.model.tasks import ObservedTasks
from profiler.wire.lookups import (
    Group,
    GroupKey,
    Layout,
    LookupCounter,
    LookupStack,
    LookupStackKey,
)

# Our cost in a window, of the target's CPU time. What is left of that time is no longer known well
# where our cost is more: what a trap costs in the target is known to some 10 to 50 per cent.
OVERHEAD_DOMINATED_RATIO = 0.2
Histogram = dict[tuple[int, int], list[tuple[int, int]]]  # (group, Metric): (slot, count)
WithoutTable = tuple[tuple[str, str], ...]  # path, why its code has no table to unwind with


class ContainerKey(NamedTuple):
    """What tells containers apart, as far as their memory does."""

    address: int
    comparator: int
    buckets: int = 0  # 0: not a hash container, or not known
    file: int = 0  # of the call site; only where several containers followed each other


@dataclass(frozen=True, slots=True)
class GroupCount:
    """How many lookups of one group a window saw."""

    key: GroupKey
    lookups: int


@dataclass(frozen=True, slots=True)
class MeasuredWindow:
    """One window that measured: what it saw, and what it cost.

    The target's CPU clock advanced by `cpu_ns` while it was open; `cost_ns` of that is ours.
    """

    window: rec.ProbeWindow
    groups: tuple[GroupCount, ...]
    cpu_ns: int
    cost_ns: int
    admitted: int
    refused: int  # lookups inside the window that were not measured, since its allowance was spent

    @property
    def is_overhead_dominated(self) -> bool:
        """Return whether our cost is so much of the CPU time that the rest is not known well."""
        return self.cost_ns > OVERHEAD_DOMINATED_RATIO * self.cpu_ns

    def merged_with(self, later: MeasuredWindow) -> MeasuredWindow:
        """Return one window for this one and a later one."""
        first, last = self.window, later.window
        open_ns = first.end_ns - first.start_ns + last.end_ns - last.start_ns
        return MeasuredWindow(
            window=rec.ProbeWindow(
                first.start_ns,
                first.start_ns + open_ns,
                first.fired + last.fired,
                first.cost_ns + last.cost_ns,
            ),
            groups=_sums(self.groups, later.groups),
            cpu_ns=self.cpu_ns + later.cpu_ns,
            cost_ns=self.cost_ns + later.cost_ns,
            admitted=self.admitted + later.admitted,
            refused=self.refused + later.refused,
        )


@dataclass(frozen=True, slots=True)
class CountingWindow:
    """One window in which every lookup was counted as it began, and nothing else about it.

    Keys of its groups have no buckets. `cpu_begin_ns` and `cpu_end_ns` are the
    target's CPU clock at its ends. `cost_ns` is what all our probes took between them,
    `cost_before_ns` since the window before it. One that was merged was open for `open_ns` and
    `cpu_ns` of it.
    """

    start_ns: int
    end_ns: int
    open_ns: int
    cpu_begin_ns: int
    cpu_end_ns: int
    cpu_ns: int
    cost_ns: int
    cost_before_ns: int
    groups: tuple[GroupCount, ...]

    @property
    def lookups(self) -> int:
        """All that began in it."""
        return sum(group.lookups for group in self.groups)

    @property
    def open_ratio(self) -> float:
        """The part of it in which lookups were counted: 1 unless it was merged."""
        return self.open_ns / max(self.end_ns - self.start_ns, 1)

    @property
    def is_overhead_dominated(self) -> bool:
        """Return whether our cost is so much of the CPU time that the rest is not known well."""
        return self.cost_ns > OVERHEAD_DOMINATED_RATIO * self.cpu_ns

    def merged_with(self, later: CountingWindow) -> CountingWindow:
        """Return one window for this one and a later one."""
        return CountingWindow(
            start_ns=self.start_ns,
            end_ns=later.end_ns,
            open_ns=self.open_ns + later.open_ns,
            cpu_begin_ns=self.cpu_begin_ns,
            cpu_end_ns=later.cpu_end_ns,
            cpu_ns=self.cpu_ns + later.cpu_ns,
            cost_ns=self.cost_ns + later.cost_ns,
            cost_before_ns=self.cost_before_ns + later.cost_before_ns,
            groups=_sums(self.groups, later.groups),
        )


def _sums(one: Iterable[GroupCount], other: Iterable[GroupCount]) -> tuple[GroupCount, ...]:
    sums: Counter[GroupKey] = Counter()
    for group in (*one, *other):
        sums[group.key] += group.lookups
    return tuple(GroupCount(key, lookups) for key, lookups in sums.items())


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    """A container at the end of the recording, or, if it is gone by then, as it was before."""

    state: ContainerState
    is_gone: bool
    chain_lengths: tuple[tuple[int, int], ...]
    is_list: bool
    elements_start: int | None = None  # None unless it was one container all the time


@dataclass(frozen=True, slots=True)
class ObservedLookups:
    """Everything that the lookup programs counted, read once the probes were gone."""

    groups: Mapping[GroupKey, Group]
    histograms: Histogram
    stacks: Mapping[LookupStackKey, LookupStack]
    counters: Mapping[LookupCounter, int]
    windows: tuple[MeasuredWindow, ...]
    counting: tuple[CountingWindow, ...]
    cpu_begin_ns: int  # the target's CPU clock when the recording began
    cpu_end_ns: int
    containers: Mapping[ContainerKey, ObservedContainer]
    texts: Mapping[int, str | None]  # strings of the target by address
    entries: Mapping[int, int]  # address of each entry function, by index
    probes: tuple[rec.Probe, ...]
    behind_probes: frozenset[int] = frozenset()  # where probed jumps and calls may end
    reused: frozenset[ContainerKey] = frozenset()  # that may be several, one after another
    lacks_room: bool = False  # there were more kinds of containers, or functions, than can be known
    uncounted: int = 0  # lookups in counting windows, since there was no room for their group
    unread: int = 0  # containers that were not read, since there were too many


@dataclass(frozen=True, slots=True)
class Followed:
    """What was looked at again and again: the most of each in every interval, None if nothing.

    All but queues and elements count from the beginning on.
    """

    ends_ns: tuple[int, ...] = ()  # of the intervals
    cost_ns: tuple[int | None, ...] = ()
    queue_bytes: tuple[int | None, ...] = ()
    drops: tuple[int | None, ...] = ()
    verified: tuple[int | None, ...] = ()  # lookups
    comparisons: tuple[int | None, ...] = ()  # of these
    elements: Mapping[ContainerKey, tuple[int | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that one run observed, in the kernel's terms."""

    window: rec.Window
    stopped_by: str
    exited: bool
    samples: tuple[tuple[int, int, int], ...]  # (time_ns, stack's name, tid)
    sampled_one_in: int  # of the samples that came, at random, since there were too many to keep
    sample_accounting: rec.Accounting
    stacks: Mapping[int, UnwindStack]
    account: ThreadAccount
    sockets: tuple[rec.Socket, ...]
    lookups: ObservedLookups | None
    calibration: Calibration | None
    sampling_cost_ns: int
    lookup_cost_ns: int
    without_table: WithoutTable
    warnings: tuple[str, ...]
    children: rec.Children = rec.Children()
    descriptors: rec.Descriptors | None = None
    lost_ends: int = 0  # reports of threads that ended
    thread_starts: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    # by tid, addresses: the frames that it began in, outermost first
    followed: Followed = Followed()
    off_cpu: ObservedOffCpu | None = None  # None: nobody looked
    tasks: ObservedTasks | None = None  # None: nobody looked
    links: ObservedLinks | None = None  # None: nobody looked

    @property
    def cpu_s(self) -> float:
        """CPU time of all threads in the window, in seconds."""
        return sum(thread.cpu_ns for thread in self.account.threads) / 1e9


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container as it was when it was read. `buckets` is None for a red-black tree."""

    v_table: int
    sort_function: int | None
    comparator: int | None
    hash_function: int | None
    elements: int
    buckets: int | None
    layout: Layout


@dataclass(frozen=True, slots=True)
class Calibration:
    """Cost of a probe hit in nanoseconds, without the time that its program runs."""

    trap_ns: int  # on an emulated instruction
    stepped_trap_ns: int  # on any other
    return_trap_ns: int  # added by also seeing the function's return


@dataclass(frozen=True, slots=True)
class ThreadAccount:
    """Who used the CPU inside the window."""

    threads: tuple[ThreadUse, ...]  # by tid
    process_cpu_ns: int  # of the whole process in the window

    @property
    def unattributed_ns(self) -> int:
        """CPU time of threads that ended without the kernel telling us."""
        return max(0, self.process_cpu_ns - sum(thread.cpu_ns for thread in self.threads))


@dataclass(frozen=True, slots=True)
class UnwindStack:
    """A stack as the kernel stored it, addresses leaf first; `cause` is an index of CAUSES.

    `left_out`: frames that are missing between the leaf's part of `frames` and the root's.
    """

    cause: int
    frames: tuple[int, ...]
    kernel: tuple[int, ...]
    left_out: int = 0
