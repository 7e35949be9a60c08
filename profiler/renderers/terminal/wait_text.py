"""The part of the terminal report on time off the CPU: by role, by lock, by place."""

from __future__ import annotations

from profiler.model.off_cpu_profile import LockUse, OffCpuProfile
from profiler.model.offcpu import LOCK, PREEMPTED
from profiler.model.profile import Profile
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import LABEL_MAX, clip
from profiler.renderers.words.lines import Line, heading, table, table_rows, wrapped
from profiler.renderers.words.waiting import (
    coverage,
    held_or_waiting,
    kind_label,
    lock_label,
    role_times,
    stack_label,
    summary,
    time_label,
)

_ROLES_MAX = 8
_LOCKS_MAX = 5
_PLACES_MAX = 3  # of a lock
_STACKS_MAX = 8
_LEAST_NS = 1e6  # roles that waited less for anything but work are left to report.html


def lines(profile: Profile, width: int) -> list[Line]:
    """Return the sections on waits; none if nobody looked."""
    waits = profile.off_cpu
    if waits is None:
        return []
    return [
        *heading("OFF-CPU TIME", "when threads did not run, and why", width),
        *wrapped("  ", summary(waits), "", width),
        *_roles(waits, width),
        *wrapped("  ", coverage(waits), "dim", width),
        *_locks(waits, width),
        *_places(waits, width),
    ]


def _roles(waits: OffCpuProfile, width: int) -> list[Line]:
    shown = [role for role in waits.roles if role.time_ns >= _LEAST_NS][:_ROLES_MAX]
    if not shown:
        return []
    titles = ("role", "threads", "lock", "disk", "ready", "other", "idle")
    rows = [(clip(role.role, LABEL_MAX), f"{role.threads:,}", *role_times(role)) for role in shown]
    return table(titles, rows, width)


def _locks(waits: OffCpuProfile, width: int) -> list[Line]:
    """Return the locks that were waited for longest, each with who waits, and who had it."""
    shown = [lock for lock in waits.locks if lock.time_ns][:_LOCKS_MAX]
    if not shown:
        return []
    about = ", estimated for the whole window" if waits.is_estimated else ""
    made = heading("LOCKS", f"what threads waited for{about}", width)
    titles = ("lock", "threads", "waits", "time", "p50", "p99", "longest")
    head, *rows = table_rows(titles, [_lock(lock) for lock in shown], width)
    made += head
    for lock, row in zip(shown, rows, strict=True):
        made += row
        for word, place in held_or_waiting(lock, _PLACES_MAX):
            made += wrapped(f"    {word} ", place, "", width)
    rest = len([lock for lock in waits.locks if lock.time_ns]) - len(shown)
    if rest:
        made += wrapped("  ", f"and {numbers.counted(rest, 'more lock')}", "dim", width)
    return made


def _lock(lock: LockUse) -> tuple[str, ...]:
    return (
        lock_label(lock),
        f"{lock.threads:,}",
        numbers.column(lock.count),
        time_label(lock.time_ns),
        numbers.duration(lock.duration_ns.p50),
        numbers.duration(lock.duration_ns.p99),
        numbers.duration(lock.max_ns),
    )


def _places(waits: OffCpuProfile, width: int) -> list[Line]:
    """Return where threads waited for anything but locks, work and a CPU."""
    told = [one for one in waits.stacks if not one.is_idle and one.kind not in (LOCK, PREEMPTED)]
    shown = [one for one in told[:_STACKS_MAX] if one.time_ns >= _LEAST_NS]
    if not shown:
        return []
    rows = [
        (
            f"{stack_label(one)}  ({kind_label(one.kind)})",
            numbers.column(one.count),
            time_label(one.time_ns),
            numbers.duration(one.duration_ns.p50),
            numbers.duration(one.duration_ns.p99),
            numbers.duration(one.max_ns),
        )
        for one in shown
    ]
    made = heading("OTHER WAITS", "without those for work, packets, a time or a CPU", width)
    return made + table(("where", "waits", "time", "p50", "p99", "longest"), rows, width)
