"""The recording: what was observed, as addresses and counts, before anything is named or ranked.

Times are integer nanoseconds of CLOCK_MONOTONIC. Addresses are the target's. `None` is unknown.
Indices point into the tuples of the same `Recording`. `files` writes and reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.links import Links
from profiler.model.offcpu import OffCpu
from profiler.model.quantities import Accounting as Accounting
from profiler.model.quantities import Distribution as Distribution
from profiler.model.quantities import Window as Window
from profiler.model.tasks import Tasks
from profiler.model.time_line import TimeLine

SCHEMA = "ebpf-prof/recording/1"
# What may end a recording before its time, besides signals: Recording.stopped_by.
TARGET_EXIT = "target exit"
TARGET_RESTART = "target restart"  # it called exec: `core restart` keeps the pid


@dataclass(frozen=True, slots=True)
class System:
    """The distribution that the target runs on, by its own os-release(5): a container's, in one."""

    id: str  # "debian"
    like: tuple[str, ...]  # ("rhel", "centos", "fedora")
    version: str | None  # "12"
    name: str  # "Debian GNU/Linux 12 (bookworm)"
    package: str | None  # that Asterisk's executable is of, where dpkg knows: "asterisk"


@dataclass(frozen=True, slots=True)
class Target:
    """The profiled process."""

    pid: int
    exe: str
    build_id: str | None
    version: str | None  # "16.28.0", as the binary itself says
    command_line: tuple[str, ...]
    container_id: str | None
    exited: bool  # it ended, or was replaced by exec, while it was recorded
    system: System | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file with code; `path` is as the target sees it, or "[kernel]", "[vdso]"."""

    path: str
    build_id: str | None  # hexadecimal


@dataclass(frozen=True, slots=True)
class Frame:
    """One code address that occurred in a stack.

    `offset` is the virtual address inside the file (what `nm` and `objdump` show), so that a name
    can be looked up later with build_id and offset alone. `function_offset` is the start of the
    function by its frame description entry or symbol. `symbol` is None when nothing names it.
    """

    address: int
    file: int | None  # index into Recording.files
    offset: int | None
    function_offset: int | None
    symbol: str | None
    origin: str | None  # symtab, dynsym, debugdata, debugfile, debuginfod, inferred, kallsyms, vdso


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames leaf first, as indices into Recording.frames; kernel frames come first.

    `cause` is None when the stack reaches the thread's start, else why the unwinding stopped. Of a
    very deep stack `left_out` frames are missing behind the first `left_out_at` ones.
    """

    frames: tuple[int, ...]
    kernel_count: int
    cause: str | None
    left_out: int = 0
    left_out_at: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One observation of a thread on a CPU."""

    time_ns: int
    tid: int
    stack: int  # index into stacks


@dataclass(frozen=True, slots=True)
class ThreadUse:
    """What one thread used of the CPU inside the window."""

    tid: int
    name: str
    cpu_ns: int
    run_delay_ns: int | None  # runnable, but waiting for a CPU
    exited: bool
    # Indices into Recording.frames: in what it began, outermost first; () where that is not known.
    start: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Socket:
    """A UDP socket of the target; queue in bytes as the kernel counts them (skb truesize)."""

    local: str  # "127.0.0.1:5060"
    receive_queue_bytes_max: int
    receive_queue_bytes_mean: float
    drops: int  # inside the window

    @property
    def is_idle(self) -> bool:
        """Return whether no sample found anything in its queue, and nothing was dropped."""
        return not (self.drops or self.receive_queue_bytes_max)


@dataclass(frozen=True, slots=True)
class Container:
    """An ao2 container in which lookups were measured, or only counted."""

    address: int
    kind: str  # hash, list, rbtree, unknown
    buckets: int | None  # None for an rbtree
    elements_start: int | None
    elements_end: int | None
    chain_lengths: tuple[tuple[int, int], ...]  # (length, buckets of that length); () if not read
    hash_function: int | None  # index into Recording.frames
    sort_function: int | None
    comparator: int | None


@dataclass(frozen=True, slots=True)
class CallSite:
    """Source place of a container operation, from the arguments of the call.

    `file` is None on Asterisk 13, and `line` where several places share one call in the code.
    """

    file: str | None
    line: int | None
    function: str  # the calling function, or the symbol at the return address


@dataclass(frozen=True, slots=True)
class LookupGroup:
    """Lookups that share container, call site, entry function and flags, measured or only counted.

    Those that began before the container's layout was known are a group of their own.
    `measured` = verified + unverifiable + contradicted + truncated. Only verified lookups enter
    `comparisons` and `sort_calls`; every measured one enters `duration_ns`.
    """

    container: int  # index into Recording.containers
    call_site: int  # index into Recording.call_sites
    entry: str  # __ao2_find, __ao2_callback, ...
    flags: int  # search flags as passed; see profiler/asterisk/abi.py
    measured: int
    verified: int
    unverifiable: int
    contradicted: int
    truncated: int
    hits: int
    misses: int
    estimated_total: float  # lookups in the whole window
    estimated_variance: float | None  # of estimated_total; None: that is only a lower bound
    comparisons: Distribution
    sort_calls: Distribution
    duration_ns: Distribution
    # With --verify: lookups whose steps were also trapped one by one, and were as many as walked,
    # or not as many. Both are 0 without it.
    steps_agreed: int = 0
    steps_disagreed: int = 0
    counted: int = 0  # seen to begin, whether they were measured or not


@dataclass(frozen=True, slots=True)
class LookupStack:
    """Call stack of lookups and what they compared, weighted to stand for all measured ones."""

    stack: int
    container: int
    lookups: float
    comparisons: float


@dataclass(frozen=True, slots=True)
class Operation:
    """Samples that were inside one container operation, called from one place in the code.

    Each stack belongs to one operation at most: to the innermost that Asterisk's container code did
    not call itself.
    """

    name: str  # ao2_find, ao2_link, ...
    call_site: int  # index into Recording.call_sites
    frame: int  # the call, index into Recording.frames
    stacks: tuple[int, ...]  # indices into Recording.stacks, ascending


@dataclass(frozen=True, slots=True)
class ProbeWindow:
    """One interval in which the lookup probes were open, and what it took from the target.

    In a long run it may stand for several: it starts with the first of them, and is as long as all
    of them together.
    """

    start_ns: int
    end_ns: int
    fired: int
    cost_ns: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What the measurement took from the target, in CPU time."""

    budget_ratio: float | None  # of one CPU; None: no budget
    sampling_ns: int
    lookups_ns: int
    trap_ns: int  # calibrated cost of one cheap probe on this machine
    stepped_trap_ns: int  # of one on an instruction that must be single-stepped


@dataclass(frozen=True, slots=True)
class Probe:
    """One place where a probe sat."""

    function: str  # what is measured there
    site: str  # "asterisk+0x6db44"
    instruction: str
    reason: str


@dataclass(frozen=True, slots=True)
class ChildUse:
    """Processes of one name that the target or its children started; CPU time inside the window."""

    name: str
    count: int  # that were seen
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class Children:
    """What the target's children and theirs used inside the window."""

    cpu_ns: int = 0  # of all, also of those too short to be seen
    seen: tuple[ChildUse, ...] = ()  # most CPU time first


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Open file descriptors of the target, and how many it may have (the soft limit)."""

    open_max: int
    limit: int


@dataclass(frozen=True, slots=True)
class Host:
    """The machine on which it was recorded, as it called itself."""

    name: str
    kernel_release: str
    cpus: int  # that are online
    bcc_version: str | None  # None: not known
    local_time: str  # Recording.started_at by its clock: ISO 8601 with the offset from UTC
    time_zone: str  # what it calls that: "CET"


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that was observed in one run."""

    schema: str
    tool_version: str
    command: tuple[str, ...]
    started_at: str  # ISO 8601 wall clock, UTC
    target: Target
    window: Window
    stopped_by: str  # duration, interrupt, termination, hangup, TARGET_EXIT, TARGET_RESTART
    frequency_hz: float
    files: tuple[MappedFile, ...]
    frames: tuple[Frame, ...]
    stacks: tuple[Stack, ...]
    samples: tuple[Sample, ...]
    sample_accounting: Accounting
    threads: tuple[ThreadUse, ...]
    sockets: tuple[Socket, ...]  # by drops and longest queue, the worst first
    containers: tuple[Container, ...]
    call_sites: tuple[CallSite, ...]
    lookups: tuple[LookupGroup, ...]
    lookup_stacks: tuple[LookupStack, ...]
    lookup_accounting: Accounting
    probe_windows: tuple[ProbeWindow, ...]
    probes: tuple[Probe, ...]
    cost: Cost
    warnings: tuple[str, ...]
    operations: tuple[Operation, ...] | None = None  # None: nobody looked for them
    children: Children = Children()
    descriptors: Descriptors | None = None  # None: not known
    host: Host | None = None  # None: older than this field
    cpu_ns: int | None = None  # of the whole process in the window; None: older than this field
    time_line: TimeLine = TimeLine()
    tasks: Tasks | None = None  # None: nobody looked for them
    off_cpu: OffCpu | None = None  # None: nobody looked, or older than this field
    links: Links | None = None  # None: nobody looked, or older than this field
