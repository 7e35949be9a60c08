"""Locks that threads waited for in a recording: deadlocks, stuck threads, contention. Pure.

On a healthy busy PBX locks are waited for during milliseconds, and mostly nobody waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from profiler.findings.lock_chains import Chain, Circle, find_chains
from profiler.findings.lock_words import (
    CONTENTION_ADVICE,
    LONG_NS,
    STUCK_ADVICE,
    STUCK_NS,
    counted_threads,
    deadlock_title,
    stuck_title,
)
from profiler.findings.wording import seconds
from profiler.model.finding import Finding, Severity
from profiler.model.off_cpu_profile import LockPlace, LockUse, LongWaitUse, OffCpuProfile
from profiler.model.profile import Profile
from profiler.model.subject import Subject

_WAITING_THREADS = 1.0  # that wait for a lock at any moment, on average: it is the bottleneck
_LEAST_SEEN = 10  # waits that were seen: fewer are no average
_LISTED = 8  # threads of a deadlock
_PLACES = 3
_FOUND_MAX = 3  # locks, or threads that keep others waiting: the worst tell what to do


def lock_waits(profile: Profile) -> Iterator[Finding]:
    """Yield deadlocks, then who keeps others waiting, then locks that many or long waited for."""
    waits = profile.off_cpu
    if waits is None:
        return
    circles, chains = find_chains(waits.long_waits)
    stuck = [chain for chain in chains if chain.longest_ns >= STUCK_NS]
    stuck.sort(key=lambda chain: (-len(chain.waits), -chain.longest_ns))
    yield from (_deadlock(profile, waits, circle) for circle in circles)
    yield from (_stuck(profile, waits, chain) for chain in stuck[:_FOUND_MAX])
    chained = [wait for circle in circles for wait in (*circle.waits, *circle.behind)]
    chained += [wait for chain in stuck for wait in chain.waits]
    said = {wait.lock for wait in chained}
    contended = [
        lock
        for at, lock in enumerate(waits.locks)
        if at not in said and _is_contended(profile, lock)
    ]
    yield from (_contention(profile, waits, lock) for lock in contended[:_FOUND_MAX])


def _is_contended(profile: Profile, lock: LockUse) -> bool:
    if lock.max_ns >= LONG_NS:
        return True
    seen = sum(count for *_, count in lock.duration_ns.histogram)
    average = lock.time_ns / profile.window.duration_ns
    return seen >= _LEAST_SEEN and average >= _WAITING_THREADS


def _deadlock(profile: Profile, waits: OffCpuProfile, circle: Circle) -> Finding:
    evidence = [
        f"thread {wait.tid} {wait.role} wanted {_lock(waits, wait)}, which thread "
        f"{wait.holder_tid} had; it waited in {_calls(wait.path)}"
        for wait in circle.waits[:_LISTED]
    ]
    advice = (
        "None of them will ever run again; only a restart of Asterisk helps. Before it, keep the "
        f"picture for a bug report: {_picture(profile)}"
    )
    if circle.is_over:
        advice = (
            "One of them gave up, or was ended, so it went on. It will happen again: keep this for "
            f"a bug report. When it stands: {_picture(profile)}"
        )
    return Finding(
        "deadlock",
        0,
        deadlock_title(len(circle.waits), circle.stood_ns, len(circle.behind)),
        tuple(evidence),
        None,
        advice,
        Severity.LOST,
        _about(profile, (wait.tid for wait in circle.waits)),
    )


def _stuck(profile: Profile, waits: OffCpuProfile, chain: Chain) -> Finding:
    first = chain.waits[0]
    lock = _lock(waits, first)
    what = f"nobody knows who kept {lock} locked"
    if chain.root is not None:
        # The wait whose holder is the root: further out, holders wait themselves.
        first = next(wait for wait in chain.waits if wait.holder_tid == chain.root)
        what = f"thread {chain.root} {first.holder_role} kept {_lock(waits, first)} locked"
    return Finding(
        "stuck-thread",
        0,
        stuck_title(what, len({wait.tid for wait in chain.waits}), chain.longest_ns),
        tuple(_stuck_evidence(chain, first)),
        None,
        f"{STUCK_ADVICE} Of this moment: {_picture(profile)}",
        Severity.WAITING,
        _about(profile, () if chain.root is None else (chain.root,)),
    )


def _stuck_evidence(chain: Chain, first: LongWaitUse) -> Iterator[str]:
    own = chain.root_wait
    if own is not None:
        spent = seconds(own.duration_ns / 1e9)
        yield f"it did not run for {spent} itself ({own.kind}), in {_calls(own.path)}"
    elif first.holder_path:
        yield f"it was in {_calls(first.holder_path)}"
    for role, path in dict.fromkeys((wait.role, wait.path) for wait in chain.waits[:_PLACES]):
        yield f"waiting: {role} in {_calls(path)}"


def _contention(profile: Profile, waits: OffCpuProfile, lock: LockUse) -> Finding:
    title = f"{lock.label}: {counted_threads(lock.threads)} waited, up to "
    title += seconds(lock.max_ns / 1e9)
    if lock.holders:
        title += f"; held by {lock.holders[0].label}"
    about = "about " if waits.is_estimated else ""
    total = f"{about}{seconds(lock.time_ns / 1e9)} in all, in {about}{_waits(lock.count)}"
    return Finding(
        "lock-contention",
        0,
        title,
        (
            total,
            *(f"held by {_place(one)}" for one in _of_roles(lock.holders)[1:_PLACES]),
            *(f"waiting: {_place(one)}" for one in _of_roles(lock.call_sites)[:_PLACES]),
        ),
        None,
        f"{CONTENTION_ADVICE} While it happens: {_picture(profile)}",
        Severity.WAITING,
        _about(profile, lock.tids),
    )


def _waits(count: float) -> str:
    return f"{count:,.0f} wait{'' if round(count) == 1 else 's'}"


def _of_roles(places: Iterable[LockPlace]) -> list[LockPlace]:
    """Return the worst place of each role: who waits is said before where else they do."""
    worst: dict[str, LockPlace] = {}
    for one in places:
        worst.setdefault(one.role, one)
    return list(worst.values())


def _place(place: LockPlace) -> str:
    return f"{place.label}: {seconds(place.time_ns / 1e9)}, up to {seconds(place.max_ns / 1e9)}"


def _lock(waits: OffCpuProfile, wait: LongWaitUse) -> str:
    return "a lock" if wait.lock is None else waits.locks[wait.lock].label


def _calls(path: tuple[str, ...]) -> str:
    return " -> ".join(path) or "a place that is not known"


def _picture(profile: Profile) -> str:
    return f"sudo ebpf-prof waits -p {profile.target.pid}"


def _about(profile: Profile, tids: Iterable[int]) -> Subject:
    wanted = set(tids)
    groups = (group.tids for group in profile.thread_groups)
    return Subject(tids=tuple(group[0] for group in groups if wanted.intersection(group)))
