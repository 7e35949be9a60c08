"""Waits with made-up numbers: of the field story, and of a PBX with one contended lock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from profiler.model import offcpu as o
from profiler.model import recording as r
from profiler.model.time_line import TimeLine
from profiler.report.basics.distributions import add
from tests.example_times import SECOND_NS, START_NS

MS = 1_000_000
WINDOWS = (r.Window(START_NS, START_NS + 15 * SECOND_NS),)
CHANNELS = o.WaitLock(
    0x7F3A_5C00_1258,
    "mutex",
    object=0x7F3A_5C00_12A8,
    destructor="container_destruct",
    container="hash",
    comparator="ast_channel_cmp_cb",
    elements=212,
    buckets=1_567,
    files=("channel.c",),
)
_THREAD = ("start_thread", "dummy_start")
_AMI = (*_THREAD, "session_do", "action_status")
_STACKS = (
    (*_AMI, "ast_channel_get_by_name", "__ao2_callback", "__ao2_lock", "futex_wait"),
    (*_AMI, "ast_channel_get_by_name", "internal_ao2_traverse", "__ao2_unlock", "futex_wake"),
    (*_THREAD, "pbx_thread", "__ast_channel_alloc_ap", "__ao2_link", "__ao2_lock", "futex_wait"),
    (*_THREAD, "do_monitor", "ast_io_wait", "poll"),
    (*_THREAD, "pbx_thread", "ast_pbx_run", "system_exec", "waitpid"),
    (*_THREAD, "worker_start", "ast_cond_wait"),
    (*_THREAD, "cdr_main", "sqlite3_step", "fsync"),
)


def durations(*values_ns: int) -> r.Distribution:
    """Return the distribution of some durations, in slots of a power of two."""
    slots = ((1 << value.bit_length() - 1, 1 << value.bit_length()) for value in values_ns)
    return add(
        r.Distribution(1, value, value, ((*slot, 1),))
        for value, slot in zip(values_ns, slots, strict=True)
    )


def group(tid: int, kind: str, stack: int | None, *ended_ns: int, **changes: object) -> o.WaitGroup:
    """Return waits of a thread that were all seen, and took so long."""
    known = o.WaitGroup(
        tid=tid,
        kind=kind,
        syscall="futex",
        lock=0 if kind == o.LOCK else None,
        stack=stack,
        waker=o.BY_NOBODY,
        waker_tid=None,
        waker_stack=None,
        seen=len(ended_ns),
        count=float(len(ended_ns)),
        time_ns=float(sum(ended_ns)),
        duration_ns=durations(*ended_ns),
        max_ns=max(ended_ns),
        waiting=0,
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def off_cpu(groups: Iterable[o.WaitGroup], **changes: object) -> o.OffCpu:
    """Return waits that were all seen, of one lock: the channels'."""
    made = tuple(groups)
    seen = sum(one.seen for one in made)
    known = o.OffCpu(
        windows=WINDOWS,
        covered_ns=10 * SECOND_NS,
        covered_ratio=1.0,
        groups=made,
        locks=(CHANNELS,),
        long_waits=(),
        accounting=r.Accounting(fired=seen, kept=seen),
        cost_ns=20 * MS,
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def field_off_cpu() -> o.OffCpu:
    """Waits of the field story, of which a quarter was seen: a thread waits behind do_monitor."""
    held = {"waker": o.BY_THREAD, "waker_tid": 4733, "waker_stack": 2}
    groups = (
        group(4720, o.LOCK, 5, 3 * MS, 80 * MS, 310 * MS, **held, count=212.0, time_ns=3.6e9),
        group(4711, o.NETWORK, 4, 640 * MS, 660 * MS, count=23.0, time_ns=14.6e9),
        group(4733, o.PREEMPTED, 0, 200_000, 4 * MS, count=31.0, time_ns=3.1e7),
        group(4733, o.NETWORK, 3, 9_000, 12_000),
    )
    return off_cpu(
        groups,
        locks=(replace(CHANNELS, comparator="tps_cmp_cb", files=("taskprocessor.c",)),),
        covered_ns=15 * SECOND_NS,
        covered_ratio=0.25,
        accounting=r.Accounting(fired=270, kept=8, filtered=260, lost=1, truncated=1),
    )


def busy_recording(base: r.Recording, waits: o.OffCpu) -> r.Recording:
    """Return ten seconds of a PBX: AMI sessions, calls, SIP, workers, CDRs; two samples."""
    frames = sorted({name for stack in _STACKS for name in stack})
    stacks = tuple(
        r.Stack(tuple(frames.index(name) for name in reversed(stack)), 0, None) for stack in _STACKS
    )
    starts = {30: 0, 31: 0, 40: 2, 41: 2, 50: 3, 60: 5, 70: 6}
    begun = {tid: stacks[at].frames[::-1][:3] for tid, at in starts.items()}
    tids = [*range(30, 36), *range(40, 44), 50, *range(60, 68), 70]
    threads = (
        r.ThreadUse(tid, "asterisk", 90 * MS, 4 * MS, False, begun.get(tid, begun[tid // 10 * 10]))
        for tid in tids
    )
    return replace(
        base,
        window=r.Window(START_NS, START_NS + 10 * SECOND_NS),
        files=(r.MappedFile("/usr/sbin/asterisk", None), r.MappedFile("/lib/libc.so.6", None)),
        frames=tuple(_frame(at, name) for at, name in enumerate(frames)),
        stacks=stacks,
        samples=(r.Sample(START_NS, 50, 3), r.Sample(START_NS + 10_101_010, 30, 1)),
        threads=tuple(threads),
        sockets=(),
        containers=(),
        lookups=(),
        lookup_stacks=(),
        lookup_accounting=r.Accounting(),
        operations=(),
        cpu_ns=1_980 * MS,
        time_line=TimeLine(),
        warnings=(),
        off_cpu=waits,
    )


def _frame(at: int, name: str) -> r.Frame:
    in_c_library = not name.startswith(("__a", "a", "s", "d", "p", "w", "c", "i")) or name in (
        "poll",
        "start_thread",
        "waitpid",
    )
    return r.Frame(0x1000 + 16 * at, int(in_c_library), 16 * at, 16 * at, name, "symtab")


def contended_off_cpu() -> o.OffCpu:
    """Six AMI sessions and four calls wait for the channels, up to 2.4 s; the others idle."""
    groups = []
    for tid in range(30, 36):
        holder = 30 + (tid - 29) % 6
        held = {"waker": o.BY_THREAD, "waker_tid": holder, "waker_stack": 1}
        groups.append(group(tid, o.LOCK, 0, 400 * MS, 900 * MS, 1_100 * MS, 2_400 * MS, **held))
        groups.append(group(tid, o.NETWORK, 3, 2_000 * MS, 3_000 * MS))
    for tid in range(40, 44):
        held = {"waker": o.BY_THREAD, "waker_tid": 31, "waker_stack": 1}
        groups.append(group(tid, o.LOCK, 2, 40 * MS, 300 * MS, 700 * MS, **held))
        groups.append(group(tid, o.CHILD, 4, 120 * MS))
    groups += (group(tid, o.CONDITION, 5, *(990 * MS,) * 10) for tid in range(60, 68))
    groups.append(group(70, o.DISK, 6, 3 * MS, 12 * MS, 41 * MS))
    groups.append(group(50, o.PREEMPTED, None, 1 * MS, 2 * MS))
    long_wait = o.LongWait(
        tid=30,
        kind=o.LOCK,
        since_ns=START_NS + 2 * SECOND_NS,
        until_ns=START_NS + 4_400 * MS,
        has_ended=True,
        lock=0,
        stack=0,
        holder_tid=31,
        holder_stack=1,
    )
    return off_cpu(groups, long_waits=(long_wait,))
