"""The target's own work in windows that count, told by links of chains that were watched. Pure.

A link is followed as often for each second of work inside windows as outside. Outside it is known,
since few lookups are trapped there. So its number inside tells the work inside, whatever traps
cost, and whatever they do to caches and to who waits for whom.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiler.observed import MeasuredWindow, Turn, WatchedLink

# What must be known of a link before it tells anything.
LEAST_FOLLOWED = 20
LEAST_WINDOWS = 3
LEAST_TURNS = 3
# What a hit takes from the target, as a multiple of what it takes from us at best, and how far that
# may be off: we have nothing in our caches to lose. Where threads wait for one lock, one that is
# trapped while it has the lock may have to wake others afterwards. See docs/overhead.md.
HIT_RATIO = 1.12
HIT_DOUBT_RATIO, CONTENDED_HIT_DOUBT_RATIO = 0.08, 0.4
# Switches for each time that the link is followed, from which threads are taken to wait for a lock.
CONTENDED_SWITCHES = 0.02
# Switches in a second of its CPU time, from which a trap of a thread may cost others as much again.
FIGHTING_SWITCHES_HZ = 5_000
# A switch writes the debug register, too. Whether the CPU time in which the event was there holds
# that could not be told; if it does, it is no more than so much of a hit.
SWITCH_DOUBT_HITS = 0.25
# CPU time of a thread that the watchpoint was there, and the thread not back in user mode yet.
ARMING_NS = 20_000


@dataclass(frozen=True, slots=True)
class Work:
    """The target's own work in some windows in nanoseconds, and the variance of that."""

    windows: tuple[MeasuredWindow, ...]
    work_ns: float
    variance: float


def watched_work(windows: Iterable[MeasuredWindow], links: Sequence[WatchedLink]) -> Work | None:
    """Return the work in all windows in which a well-known link was watched; None: in none."""
    by_link: dict[int, list[MeasuredWindow]] = {}
    for window in windows:
        if window.link is not None:
            by_link.setdefault(window.link, []).append(window)
    found: list[MeasuredWindow] = []
    work_ns = variance = doubt_ns = 0.0
    for index, link in enumerate(links):
        seen = by_link.get(index, [])
        rate = _rate(link)
        followed = sum(window.followed for window in seen)
        if rate is None or len(seen) < LEAST_WINDOWS or followed < LEAST_FOLLOWED:
            continue
        per_ns, rate_variance = rate
        here_ns = followed / per_ns
        work_ns += here_ns
        variance += here_ns**2 * (rate_variance + _passing_variance(seen, followed))
        doubt_ns += followed * _doubt_ns(link)
        found += seen
    # What hits and switches cost is the same for all links, and so is the error of it.
    return Work(tuple(found), work_ns, variance + doubt_ns**2) if found else None


def is_fought_over(links: Iterable[WatchedLink]) -> bool:
    """Tell whether threads that were watched were switched so often that they fight for a lock."""
    turns = [turn for link in links for turn in link.turns]
    switches = sum(turn.switches for turn in turns)
    return switches * 1e9 > FIGHTING_SWITCHES_HZ * sum(turn.running_ns for turn in turns)


def _rate(link: WatchedLink) -> tuple[float, float] | None:
    """Return how often a link is followed for each ns of work, and the relative variance."""
    turns = [turn for turn in link.turns if turn.running_ns > 0]
    followed = sum(turn.followed for turn in turns)
    if len(turns) < LEAST_TURNS or followed < LEAST_FOLLOWED:
        return None
    # Threads were drawn in proportion to their CPU time, and watched for as much of it each.
    work_ns = sum(_work_ns(turn, link) for turn in turns)
    if work_ns <= 0:
        return None
    rate = followed / work_ns
    residuals = [turn.followed - rate * _work_ns(turn, link) for turn in turns]
    return rate, _relative_variance(residuals, followed)


def _work_ns(turn: Turn, link: WatchedLink) -> float:
    return turn.running_ns - ARMING_NS - HIT_RATIO * turn.followed * link.hit_ns


def _doubt_ns(link: WatchedLink) -> float:
    """Return how far off the work may be that is done for each time the link is followed."""
    followed = sum(turn.followed for turn in link.turns)
    switches = sum(turn.switches for turn in link.turns) / followed
    is_contended = switches > CONTENDED_SWITCHES
    doubt_ratio = CONTENDED_HIT_DOUBT_RATIO if is_contended else HIT_DOUBT_RATIO
    return link.hit_ns * math.hypot(doubt_ratio, SWITCH_DOUBT_HITS * switches)


def _passing_variance(windows: Sequence[MeasuredWindow], followed: int) -> float:
    """Return the relative variance of how many of the lookups pass the link."""
    lookups = [window.tallied for window in windows]
    ratio = followed / max(sum(lookups), 1)
    residuals = [
        window.followed - ratio * number for window, number in zip(windows, lookups, strict=True)
    ]
    return _relative_variance(residuals, followed)


def _relative_variance(residuals: Sequence[float], total: float) -> float:
    count = len(residuals)
    return count / (count - 1) * sum(residual**2 for residual in residuals) / total**2
