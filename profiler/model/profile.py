"""The profile: a recording with names, ranked and ready to show. Renderers see nothing else.

Ratios are 0 to 1 (CPU ratios: of one CPU); renderers make per cent of them. `None` is unknown.
profile.json is this structure field by field, see `renderers/exports/json.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.cpu_share import CpuShare, cpu_share
from profiler.model.finding import Finding
from profiler.model.links import LinkProfile
from profiler.model.off_cpu_profile import OffCpuProfile
from profiler.model.quantities import Quantiles as Quantiles
from profiler.model.recording import (
    Accounting,
    Descriptors,
    Host,
    LookupStack,
    ProbeWindow,
    Sample,
    Socket,
    Target,
    Window,
)
from profiler.model.search import Search
from profiler.model.subject import source_place
from profiler.model.task_profile import TaskProfile
from profiler.model.time_line import SampleBins, TimeLine

SCHEMA = "ebpf-prof/profile/1"


@dataclass(frozen=True, slots=True)
class NamedStack:
    """A call stack of readable frame names, root first, with what it weighs.

    `cause` is None for a whole stack, else why it was truncated; such a stack is shown under a root
    frame that says so. `kernel_count` frames at the leaf end are the kernel's.
    """

    frames: tuple[str, ...]
    kernel_count: int
    cause: str | None


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of the target; `role` is what it was started to run: "do_monitor (chan_sip.so)".

    It may stand for `count` threads that ran the same and ended: the tid is that of the busiest,
    numbers are sums.
    """

    tid: int
    name: str
    role: str | None
    cpu_ratio: float
    run_delay_ratio: float | None
    samples: int
    start: str | None = None  # where the code begins that it runs, if nothing names that
    count: int = 1

    @property
    def title(self) -> str:
        """What it runs, else what it is called."""
        return self.role or self.name


@dataclass(frozen=True, slots=True)
class ThreadPath:
    """A way through the code that takes much of a thread's CPU time: frames that tell it.

    A frame calls the next, directly or through others. The last one stands for what it calls, too.
    `is_rest`: without what other paths of the thread have of it already.
    """

    frames: tuple[str, ...]  # outermost first
    ratio: float  # of the samples of the thread or thread group
    is_rest: bool = False
    # Share of the samples in the system calls that wait, and in what calls them, if these threads
    # never sleep in them.
    busy_loop_ratio: float | None = None

    @property
    def label(self) -> str:
        """In words: "bridge_channel_wait > poll (busy loop: 90 % of the time in ...)"."""
        frames = " > ".join(self.frames) + (" and other calls" if self.is_rest else "")
        if self.busy_loop_ratio is None:
            return frames
        share = f"{self.busy_loop_ratio * 100:.0f} %"
        return f"{frames} (busy loop: {share} of the time in {self.frames[-1]} and its callers)"


@dataclass(frozen=True, slots=True)
class ThreadGroup:
    """One thread, or several that run the same and use about as much each; numbers are sums."""

    tids: tuple[int, ...]  # busiest first; of those that ended, where they are many, one
    title: str  # what they run, else what they are called
    name: str  # that the kernel knows them by
    cpu_ratio: float
    run_delay_ratio: float | None  # None if it is known of none
    samples: int
    paths: tuple[ThreadPath, ...] = ()  # heaviest first
    count: int = 1  # threads

    @property
    def is_many(self) -> bool:
        """Return whether these are several threads."""
        return self.count > 1

    @property
    def waiting_ratio(self) -> float | None:
        """For how much of the window each of them was ready to run, on average."""
        return None if self.run_delay_ratio is None else self.run_delay_ratio / self.count

    @property
    def runnable_ratio(self) -> float:
        """For how much of the window each of them ran or was ready to, on average."""
        return self.cpu_ratio / self.count + (self.waiting_ratio or 0.0)

    @property
    def is_busy_loop(self) -> bool:
        """Return whether they ask again and again where they should wait."""
        return any(path.busy_loop_ratio is not None for path in self.paths)


@dataclass(frozen=True, slots=True)
class ChildProcesses:
    """Processes of one name that the target or its children started."""

    name: str
    count: int
    cpu_ratio: float


@dataclass(frozen=True, slots=True)
class ChildrenUse:
    """What the target's children and theirs used of the CPU."""

    cpu_ratio: float = 0.0  # of all, also of those too short to be seen
    seen: tuple[ChildProcesses, ...] = ()  # busiest first


@dataclass(frozen=True, slots=True)
class ContainerPart:
    """What part of an operation's samples counts for a container."""

    address: int
    label: str
    ratio: float


# Operations that windows measure. The others link, copy or walk.
LOOKUPS = frozenset(
    ("ao2_find", "ao2_callback", "ao2_callback_data", "ao2_unlink", "ao2_weakproxy_find")
)


@dataclass(frozen=True, slots=True)
class OperationUse:
    """CPU time inside one container operation, called from one source place."""

    name: str  # ao2_find, ao2_link, ...
    file: str | None
    line: int | None
    function: str
    cpu: CpuShare
    containers: tuple[ContainerPart, ...]  # the largest part first; () if not known

    @property
    def place(self) -> str:
        """Where in the source the call is."""
        return source_place(self.file, self.line, self.function)

    @property
    def is_lookup(self) -> bool:
        """Return whether windows measure it."""
        return self.name in LOOKUPS


@dataclass(frozen=True, slots=True)
class Chain:
    """Chain lengths over all buckets of a container, empty buckets included."""

    mean: float | None
    p99: int | None
    max: int | None


@dataclass(frozen=True, slots=True)
class LookupCounts:
    """How many lookups were measured, how surely, and how many there were by estimation (95 %).

    Where nobody can know how many there were, `estimated_low` is what they were at least.
    """

    measured: int
    verified: int
    unverifiable: int
    contradicted: int
    truncated: int
    estimated_total: float | None
    estimated_low: float
    estimated_high: float | None
    hit_ratio: float | None
    steps_agreed: int = 0  # with --verify: counts that trapped steps confirmed
    steps_disagreed: int = 0  # or did not
    counted: int = 0  # seen to begin, measured or not

    @property
    def total_or_bound(self) -> float:
        """The estimate; where there is none, what it is at least."""
        return self.estimated_low if self.estimated_total is None else self.estimated_total


@dataclass(frozen=True, slots=True)
class CallSiteUse:
    """The lookups that one source place made in one container."""

    file: str | None
    line: int | None
    function: str
    entry: str
    search: Search
    measured: int
    estimated_total: float | None
    estimated_low: float
    hit_ratio: float | None
    comparisons: Quantiles
    sort_calls: Quantiles
    duration_ns: Quantiles
    counted: int = 0  # seen to begin, measured or not
    cpu: CpuShare | None = None  # None: nobody looked for operations in the samples

    @property
    def total_or_bound(self) -> float:
        """The estimate; where there is none, what it is at least."""
        return self.estimated_low if self.estimated_total is None else self.estimated_total

    @property
    def place(self) -> str:
        """Where in the source the call is."""
        return source_place(self.file, self.line, self.function)

    @property
    def estimated_comparisons(self) -> float:
        """Comparisons of its lookups in the whole window."""
        return self.total_or_bound * (self.comparisons.mean or 0.0)

    @property
    def estimated_duration_ns(self) -> float:
        """Time of its lookups in the whole window."""
        return self.total_or_bound * (self.duration_ns.mean or 0.0)


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """A container and all lookups made in it, most expensive call site first.

    It may stand for `count` of one kind that were hardly searched; the address is that of the most
    expensive one, and how many elements they hold is not known.
    """

    address: int
    kind: str
    name: str | None  # comparator or call site that names it: "taskprocessors (tps_cmp_cb)"
    buckets: int | None
    elements_start: int | None
    elements_end: int | None
    chain: Chain
    hash_function: str | None
    sort_function: str | None
    comparator: str | None
    lookups: LookupCounts
    comparisons: Quantiles
    sort_calls: Quantiles
    duration_ns: Quantiles
    estimated_comparisons: float  # in the whole window
    estimated_duration_ns: float  # in the whole window
    call_sites: tuple[CallSiteUse, ...]
    cpu: CpuShare | None = None  # the sum of those of its call sites
    told_apart_by: str | None = None  # what others of its name do not have: who uses it
    count: int = 1

    @property
    def label(self) -> str:
        """What no other container is called: its name, else its kind and address; how many."""
        name = self.name or f"{self.kind} at {self.address:#x}"
        apart = "" if self.told_apart_by is None else f", {self.told_apart_by}"
        many = f" (×{self.count:,})" if self.count > 1 else ""
        return f"{name}{apart}{many}"


@dataclass(frozen=True, slots=True)
class StackQuality:
    """How many sample stacks reach their thread's start, and what truncated the others.

    `left_out`: those that are so deep that frames in their middle are left out.
    """

    samples: int
    whole: int
    by_cause: tuple[tuple[str, int], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class UnnamedFile:
    """A file with code in which frames of samples have no name."""

    path: str  # as the target sees it
    build_id: str | None
    ratio: float  # share of all samples in whose stacks there is such a frame


@dataclass(frozen=True, slots=True)
class CostReport:
    """What the measurement took from the target; ratios of one CPU."""

    budget_ratio: float | None
    measured_ratio: float
    sampling_ratio: float
    lookups_ratio: float
    open_ratio: float  # share of the window in which the lookup probes were open
    trap_ns: int
    resolution_ns: int  # a lookup's time below it cannot be distinguished from none


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything the renderers show."""

    schema: str
    tool_version: str
    command: tuple[str, ...]
    started_at: str
    target: Target
    window: Window
    stopped_by: str
    frequency_hz: float
    cost: CostReport
    sample_accounting: Accounting
    lookup_accounting: Accounting
    stack_quality: StackQuality
    lookup_stack_quality: StackQuality
    unnamed_frames_ratio: float | None  # share of user frames in samples that no symbol names
    stacks: tuple[NamedStack, ...]
    samples: tuple[Sample, ...]
    lookup_stacks: tuple[LookupStack, ...]  # `container`: index into Profile.containers
    threads: tuple[Thread, ...]  # busiest first
    sockets: tuple[Socket, ...]  # by drops and longest queue, the worst first
    containers: tuple[ContainerUse, ...]  # most expensive first
    probe_windows: tuple[ProbeWindow, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    thread_groups: tuple[ThreadGroup, ...] = ()  # every thread in one of them, busiest first
    children: ChildrenUse = ChildrenUse()
    descriptors: Descriptors | None = None  # None: not known
    operations: tuple[OperationUse, ...] | None = None  # most CPU time first; None: not looked for
    # Share of the CPU time in lookups, by samples, that fell into windows; None: not known.
    seen_lookups_ratio: float | None = None
    host: Host | None = None  # None: an older recording
    total_cpu_ratio: float = 0.0  # of the process, as top shows it; also of threads that ended
    lookups_not_measured: str | None = None  # why nobody looked for them; None: they were measured
    time_line: TimeLine = TimeLine()
    sample_bins: SampleBins = SampleBins()
    unnamed_files: tuple[UnnamedFile, ...] = ()  # the largest share first
    off_cpu: OffCpuProfile | None = None  # None: nobody looked
    tasks: TaskProfile | None = None  # None: nobody looked
    links: LinkProfile | None = None  # None: nobody looked

    @property
    def cpu_ratio(self) -> float:
        """CPU time of all threads."""
        return sum(thread.cpu_ratio for thread in self.threads)

    def cpu_share(self, samples: float, *, is_divided: bool = False) -> CpuShare:
        """Return the CPU time that samples stand for."""
        return cpu_share(samples, len(self.samples), self.cpu_ratio, is_divided=is_divided)
