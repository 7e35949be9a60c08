"""The part of report.html on time off the CPU: by role, by lock, by place."""

from __future__ import annotations

from profiler.model.off_cpu_profile import LockUse, RoleWaits, WaitStack
from profiler.model.profile import Profile
from profiler.renderers.graphs.wait_graph import page_graph
from profiler.renderers.page.anchors import OFF_CPU_GRAPH, slug
from profiler.renderers.page.graph_html import draw_graph
from profiler.renderers.page.markup import element
from profiler.renderers.page.sections import Section, section
from profiler.renderers.page.tables import Column, Row, lines, table
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import LABEL_MAX, clip
from profiler.renderers.words.waiting import (
    coverage,
    held_or_waiting,
    kind_label,
    lock_label,
    path_label,
    role_times,
    summary,
    time_label,
)

_PLACES_MAX = 5  # of a lock
_ROLES = tuple(map(Column, ("Role", "Lock", "Disk", "Ready", "Other", "Idle")))
_LOCKS = tuple(map(Column, ("Lock", "Waits", "Time", "p50", "p99", "Longest")))
_STACKS = tuple(map(Column, ("Where", "Waits", "Time", "p50", "p99", "Longest")))


def off_cpu(profile: Profile) -> Section | None:
    """Return the table of roles, the graph, and the table of places; None if nobody looked."""
    waits = profile.off_cpu
    if waits is None:
        return None
    explanation = (
        f"{summary(waits)} Ready: it could run, and others had the CPU. Idle: it waited for work, "
        f"packets or a time. {coverage(waits)}"
    )
    return section(
        "Off-CPU time",
        element("p", explanation, kind="faint"),
        table(_ROLES, [_role(role) for role in waits.roles]),
        draw_graph(OFF_CPU_GRAPH, page_graph(profile)),
        element("p", "By place: what is no idle waiting first.", kind="faint"),
        table(_STACKS, [_stack(one, at) for at, one in enumerate(waits.stacks)]),
    )


def locks(profile: Profile) -> Section | None:
    """Return the table of locks; None if nobody waited for one."""
    waits = profile.off_cpu
    if waits is None or not waits.locks:
        return None
    explanation = (
        "Locks that threads waited for, who had them when the wait ended, and where threads wait. "
        "a -> b: a calls b, perhaps through others. A picture of one moment: sudo ebpf-prof waits"
    )
    rows = [_lock(lock) for lock in waits.locks]
    return section("Locks", element("p", explanation, kind="faint"), table(_LOCKS, rows))


def _role(role: RoleWaits) -> Row:
    first = lines(clip(role.role, LABEL_MAX), numbers.counted(role.threads, "thread"))
    return Row(slug("waits", role.role), (first, *map(lines, role_times(role))))


def _lock(lock: LockUse) -> Row:
    told = [" ".join(said) for said in held_or_waiting(lock, _PLACES_MAX)]
    threads = numbers.counted(lock.threads, "thread") + " waited"
    if lock.waiting:
        threads += f", {lock.waiting:,} still at the end"
    cells = (
        lines(lock_label(lock), threads, *told),
        lines(numbers.column(lock.count)),
        lines(time_label(lock.time_ns)),
        lines(numbers.duration(lock.duration_ns.p50)),
        lines(numbers.duration(lock.duration_ns.p99)),
        lines(numbers.duration(lock.max_ns)),
    )
    return Row(f"lock-{lock.address:x}", cells)


def _stack(one: WaitStack, number: int) -> Row:
    who = f"{clip(one.role, LABEL_MAX)}, {kind_label(one.kind)}"
    cells = (
        lines(path_label(one.path), who),
        lines(numbers.column(one.count)),
        lines(time_label(one.time_ns)),
        lines(numbers.duration(one.duration_ns.p50)),
        lines(numbers.duration(one.duration_ns.p99)),
        lines(numbers.duration(one.max_ns)),
    )
    return Row(f"wait-{number}", cells)
