"""Threads that fill a CPU, or wait for one. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.findings.wording import percent
from profiler.model.profile import Finding, Profile, Severity, ThreadGroup

BUSY_RATIO = 0.8  # of a CPU, of a thread or of alike threads together
_WAITING_RATIO = 0.2  # of the window, of each thread


def threads(profile: Profile) -> Iterator[Finding]:
    """Yield at most one finding for each thread group."""
    for group in profile.thread_groups:
        if group.cpu_ratio >= BUSY_RATIO:
            yield _busy(group)
        elif _waiting_ratio(group) >= _WAITING_RATIO:
            yield _waiting(profile, group)


def _label(group: ThreadGroup) -> str:
    which = f"{len(group.tids):,} threads" if group.is_many else f"thread {group.tids[0]}"
    return f"{which} {group.title}"


def _waiting_ratio(group: ThreadGroup) -> float:
    return (group.run_delay_ratio or 0.0) / len(group.tids)


def _each(group: ThreadGroup) -> str:
    return "each " if group.is_many else ""


def _busy(group: ThreadGroup) -> Finding:
    evidence = [f"{group.samples:,} samples"]
    if _waiting_ratio(group) >= _WAITING_RATIO:
        evidence.append(
            f"{_each(group)}waited for a CPU {percent(_waiting_ratio(group))} of the time"
        )
    evidence += (f"{percent(path.ratio)} in {path.label}" for path in group.paths[:1])
    together = " together" if group.is_many else ""
    return Finding(
        "busy-thread",
        0,
        f"{_label(group)}: {_verb(group, 'use')} {percent(group.cpu_ratio)} of a CPU{together}",
        tuple(evidence),
        group.cpu_ratio,
        _busy_advice(group),
    )


def _busy_advice(group: ThreadGroup) -> str:
    if any(path.busy_loop_ratio is not None for path in group.paths):
        return (
            "It asks again and again in place of waiting: see what the callers wait for, such as a "
            "closed or always ready descriptor, or a timeout of 0."
        )
    if group.is_many:
        return "Many do the same work at once: see their flame graph, and what starts so many."
    return "Whatever waits for this thread waits for its work: see its flame graph."


def _verb(group: ThreadGroup, verb: str) -> str:
    return verb if group.is_many else f"{verb}s"


def _waiting(profile: Profile, group: ThreadGroup) -> Finding:
    used = percent(group.cpu_ratio) + (" together" if group.is_many else "")
    return Finding(
        "waiting-thread",
        0,
        f"{_label(group)}: {_each(group)}waited for a CPU "
        f"{percent(_waiting_ratio(group))} of the time",
        (f"{'they' if group.is_many else 'it'} used {used} of a CPU",),
        None,
        f"{_who_holds_the_cpus(profile)} Or the CPU quota of its container is used up: see "
        "throttling in its cgroup's cpu.stat.",
        Severity.WAITING,
    )


def _who_holds_the_cpus(profile: Profile) -> str:
    busiest = profile.thread_groups[0]
    if busiest.cpu_ratio >= BUSY_RATIO / 2:
        return f"Others hold the CPUs: first {_label(busiest)}, or see top(1)."
    return "Other processes hold the CPUs, no thread of Asterisk does: see top(1)."
