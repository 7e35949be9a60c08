"""Waits in words: of what kind, how long, who, and what nobody looked for."""

from __future__ import annotations

from profiler.model.off_cpu_profile import (
    IDLE_KINDS,
    LockPlace,
    LockUse,
    OffCpuProfile,
    RoleWaits,
    WaitStack,
)
from profiler.model.offcpu import (
    CHILD,
    CONDITION,
    DISK,
    FUTEX,
    JOIN,
    LOCK,
    NETWORK,
    OTHER,
    PIPE,
    PREEMPTED,
    SLEEP,
)
from profiler.model.profile import Quantiles
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import LABEL_MAX, clip

_KINDS = {
    LOCK: "lock",
    CONDITION: "condition: waits for work",
    JOIN: "end of a thread",
    FUTEX: "lock or condition",
    SLEEP: "sleep",
    NETWORK: "network",
    PIPE: "pipe",
    DISK: "disk",
    CHILD: "child process",
    OTHER: "other, in the kernel",
    PREEMPTED: "ready, but others had the CPU",
}
NOT_LOOKED = "Nobody looked when threads did not run."
IDLE_WORDS = "for work, packets or a time"


def kind_label(kind: str) -> str:
    """Return what threads waited for."""
    return _KINDS.get(kind, clip(kind, 40))


def path_label(path: tuple[str, ...]) -> str:
    """Return the calls that tell where it was, outermost first."""
    return clip(" > ".join(path), LABEL_MAX) or "a place that is not known"


def stack_label(waits: WaitStack) -> str:
    """Return who waited where."""
    return f"{clip(waits.role, LABEL_MAX)}: {path_label(waits.path)}"


def time_label(time_ns: float) -> str:
    """Return a sum of waits; "-" where nobody waited."""
    return numbers.duration(round(time_ns)) if round(time_ns) > 0 else "-"


def held_or_waiting(lock: LockUse, listed_max: int) -> list[tuple[str, str]]:
    """Return who had a lock and who waited for it, each with a word before it."""
    words = (("held by", lock.holders), ("waits in", lock.call_sites))
    return [(word, _place(one)) for word, places in words for one in places[:listed_max]]


def _place(place: LockPlace) -> str:
    longest = numbers.duration(place.max_ns)
    return f"{clip(place.label, LABEL_MAX)}: {time_label(place.time_ns)}, up to {longest}"


def role_times(role: RoleWaits) -> tuple[str, ...]:
    """Return the times of a role: lock, disk, ready, all others, idle."""
    named = [role.of(kind) for kind in (LOCK, DISK, PREEMPTED)]
    return tuple(map(time_label, (*named, role.time_ns - sum(named), role.idle_ns)))


def lock_label(lock: LockUse) -> str:
    """Return what a lock is called."""
    return clip(lock.label, LABEL_MAX)


def spread(durations: Quantiles, max_ns: int) -> str:
    """Return how long waits were: "p50 2.1 ms, p99 1.2 s, longest 2.4 s"."""
    known = [
        f"{name} {numbers.duration(value)}"
        for name, value in (("p50", durations.p50), ("p99", durations.p99))
        if value is not None
    ]
    return ", ".join([*known, f"longest {numbers.duration(max_ns)}"])


def many(waits: OffCpuProfile, count: float) -> str:
    """Return how many waits: about, where they are estimated."""
    about = "about " if waits.is_estimated else ""
    return f"{about}{numbers.counted(round(count), 'wait')}"


def summary(waits: OffCpuProfile) -> str:
    """Return for how long threads waited for what, in one sentence."""
    shown = [one for one in waits.kinds if one.kind not in IDLE_KINDS]
    idle_ns = sum(one.time_ns for one in waits.kinds if one.kind in IDLE_KINDS)
    parts = [f"{numbers.duration(one.time_ns)} {kind_label(one.kind)}" for one in shown]
    said = "; ".join(parts) if parts else "nobody waited for a lock, a disk or a CPU"
    return (
        f"All threads together: {said}. Besides, {numbers.duration(idle_ns)} of waiting "
        f"{IDLE_WORDS}, which is no trouble."
    )


def coverage(waits: OffCpuProfile) -> str:
    """Return which part of the recording was seen, and what was lost."""
    events = waits.accounting
    lost = f"{events.missed:,} lost" if events.missed else "none lost"
    share = "all of the time"
    if waits.is_estimated:
        share = f"{numbers.percent(waits.covered_ratio)} of the time, which stand for all of it"
    return f"{numbers.counted(events.seen, 'wait')} seen in {share}; {lost}."
