"""Threads that fill a CPU, or wait for one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from profiler.findings.wording import percent
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile, ThreadGroup
from profiler.model.subject import Subject

_BUSY_RATIO = 0.8  # of a CPU, of a thread or of alike threads together
_WAITING_RATIO = 0.2  # of the window, of each thread
_HOLDING_RATIO = 0.3  # of a CPU: who uses less does not keep others waiting
_LISTED = 3


def threads(profile: Profile) -> Iterator[Finding]:
    """Yield a finding for each busy thread group, and one for all others that wait for a CPU."""
    waiting = []
    for group in profile.thread_groups:
        if group.cpu_ratio >= _BUSY_RATIO or group.is_busy_loop:
            yield _busy(group)
        elif (group.waiting_ratio or 0.0) >= _WAITING_RATIO:
            waiting.append(group)
    if waiting:
        waiting.sort(key=lambda group: -(group.waiting_ratio or 0.0))
        yield _waiting(profile, waiting)


def _label(group: ThreadGroup) -> str:
    which = f"{group.count:,} threads" if group.is_many else f"thread {group.tids[0]}"
    return f"{which} {group.title}"


def _each(group: ThreadGroup) -> str:
    return "each " if group.is_many else ""


def _busy(group: ThreadGroup) -> Finding:
    evidence = [f"{group.samples:,} samples"]
    waited = group.waiting_ratio or 0.0
    if waited >= _WAITING_RATIO:
        evidence.append(f"{_each(group)}waited for a CPU {percent(waited)} of the time")
    evidence += (f"{percent(path.ratio)} in {path.label}" for path in group.paths[:1])
    what = "use" if group.is_many else "uses"
    if group.is_busy_loop:
        what = "busy loops use" if group.is_many else "a busy loop uses"
    together = " together" if group.is_many else ""
    return Finding(
        "busy-thread",
        0,
        f"{_label(group)}: {what} {percent(group.cpu_ratio)} of a CPU{together}",
        tuple(evidence),
        group.cpu_ratio,
        _busy_advice(group),
        Severity.SATURATED if _is_saturated(group) else Severity.CPU,
        Subject(tids=group.tids[:1]),
    )


def _is_saturated(group: ThreadGroup) -> bool:
    """Return whether each of them can hardly do more."""
    return group.cpu_ratio >= _BUSY_RATIO * group.count


def _busy_advice(group: ThreadGroup) -> str:
    if group.is_busy_loop:
        return (
            "It asks again and again in place of waiting: see what the callers wait for, such as a "
            "closed or always ready descriptor, or a timeout of 0."
        )
    if group.is_many:
        return "Many do the same work at once: see their flame graph, and what starts so many."
    return "Whatever waits for this thread waits for its work: see its flame graph."


def _waiting(profile: Profile, groups: Sequence[ThreadGroup]) -> Finding:
    first, *others = groups
    share = percent(first.waiting_ratio or 0.0)
    if others:
        count = sum(group.count for group in groups)
        title = f"{count:,} threads waited for a CPU, up to {share} of the time"
        evidence = [f"{_label(group)}: {_waited(group)}" for group in groups[:_LISTED]]
        if len(groups) > _LISTED:
            evidence.append("and others: see HOT THREADS")
    else:
        title = f"{_label(first)}: {_each(first)}waited for a CPU {share} of the time"
        evidence = [_used(first)]
    return Finding(
        "waiting-thread",
        0,
        title,
        tuple(evidence),
        None,
        f"{_who_holds_the_cpus(profile, first)} Or the CPU quota of its container is used up: see "
        "throttling in its cgroup's cpu.stat.",
        Severity.WAITING,
        Subject(tids=tuple(group.tids[0] for group in groups[:_LISTED])),
    )


def _waited(group: ThreadGroup) -> str:
    return f"{_each(group)}{percent(group.waiting_ratio or 0.0)} of the time; {_used(group)}"


def _used(group: ThreadGroup) -> str:
    if group.is_many:
        return f"they used {percent(group.cpu_ratio)} of a CPU together"
    return f"it used {percent(group.cpu_ratio)} of a CPU"


def _who_holds_the_cpus(profile: Profile, waiting: ThreadGroup) -> str:
    """Return who does: a thread only if it ran, and is not the one that waits."""
    used = f"Asterisk used {percent(profile.cpu_ratio)} of a CPU"
    busiest = next((group for group in profile.thread_groups if group is not waiting), None)
    if busiest is not None and busiest.cpu_ratio >= _HOLDING_RATIO:
        return f"{used}, first {_label(busiest)}; top(1) shows other processes."
    return f"{used}, so other processes hold the CPUs: see top(1)."
