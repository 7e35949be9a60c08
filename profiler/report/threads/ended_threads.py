"""Threads that ended and ran the same, as one. Pure.

A PBX starts a thread for each call. In a day these are millions, and none of them can be looked at
any more. What they used is added up, so that all totals stay as they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from profiler.model.recording import Recording, ThreadUse

_LEAST_MANY = 4  # fewer are shown one by one
_BUSY_RATIO = 0.01  # of one CPU: so is one that used more


def join_ended(
    recording: Recording, roles: Mapping[int, object]
) -> tuple[Recording, Mapping[int, int]]:
    """Return the recording with ended threads in one for each role, and how many each one is."""
    busy_ns = _BUSY_RATIO * recording.window.duration_ns
    ended: dict[tuple[object, str], list[ThreadUse]] = defaultdict(list)
    for use in recording.threads:
        if use.exited and use.cpu_ns < busy_ns:
            ended[roles.get(use.tid), use.name].append(use)
    joined = [
        sorted(uses, key=lambda use: (-use.cpu_ns, use.tid))
        for uses in ended.values()
        if len(uses) >= _LEAST_MANY
    ]
    first = {use.tid: uses[0].tid for uses in joined for use in uses}
    sums = {uses[0].tid: _sum(uses) for uses in joined}
    threads = (
        sums.get(use.tid, use)
        for use in recording.threads
        if first.get(use.tid, use.tid) == use.tid
    )
    samples = (
        replace(sample, tid=first[sample.tid]) if sample.tid in first else sample
        for sample in recording.samples
    )
    changed = replace(recording, threads=tuple(threads), samples=tuple(samples))
    return changed, Counter(first.values())


def _sum(uses: Sequence[ThreadUse]) -> ThreadUse:
    delays = [use.run_delay_ns for use in uses if use.run_delay_ns is not None]
    return replace(
        uses[0],
        cpu_ns=sum(use.cpu_ns for use in uses),
        run_delay_ns=sum(delays) if delays else None,
    )
