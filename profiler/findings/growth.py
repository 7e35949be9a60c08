"""Containers that grow without limit. Pure.

Containers fill after a start, when calls come in and when phones register. So nothing is said of
what grew, unless it goes on to the end as it began, while Asterisk has no more to do. It is worse
where a container has long chains, or its lookups take time already; else it is a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from profiler.findings.wording import percent, seconds
from profiler.model.finding import Finding, Severity
from profiler.model.lasting_growth import lasting_growth
from profiler.model.profile import ContainerUse, Profile
from profiler.model.subject import Subject

_GROWTH_RATIO = 0.01
_LEAST_GROWTH = 10
_LONG_CHAIN = 50  # elements in each bucket
_LEAST_RATIO = 0.005  # of the window in its lookups: a container with less costs nothing yet
# What costs nothing yet is looked at for so long: until then, phones may register one by one.
_CHEAP_NS = 300_000_000_000
_LISTED = 2
# Load rises if CPU samples in the last third of the window are more than in the first: by so much,
# and by more than chance makes of them (three deviations).
_RISE_RATIO, _DEVIATIONS = 0.1, 3.0
_LEAST_SAMPLES = 100  # in these thirds together: fewer say nothing
_ADVICE = (
    "Who keeps them: sudo ebpf-prof leaks -p {pid} -d 10m. Only while phones register after a "
    "restart, or calls become more, is this expected."
)


class _Load(Enum):
    RISES = "rises"
    STEADY = "steady"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Growing:
    container: ContainerUse
    per_minute: float
    seen_ns: int  # for so long


def grown(container: ContainerUse) -> int | None:
    """Return by how much it grew, if that is more than what comes and goes with calls."""
    start, end = container.elements_start, container.elements_end
    if start is None or end is None or end - start < max(_LEAST_GROWTH, _GROWTH_RATIO * start):
        return None
    return end - start


def growth(profile: Profile) -> Iterator[Finding]:
    """Yield a finding for what grows and costs without more load, and a note for all others."""
    if _load(profile) is _Load.RISES:
        return
    found = sorted(_growing(profile), key=lambda one: -one.per_minute)
    is_steady = _load(profile) is _Load.STEADY
    worse = [one for one in found if is_steady and _costs(profile, one.container)]
    others = [one for one in found if one not in worse and one.seen_ns >= _CHEAP_NS]
    if worse:
        yield _finding(profile, worse, Severity.GROWING)
    if others:
        yield _finding(profile, others, Severity.NOTE)


def _growing(profile: Profile) -> Iterator[_Growing]:
    line = profile.time_line
    for one in line.containers:
        container = profile.containers[one.container]
        sizes = [
            (end_ns, count)
            for end_ns, count in zip(line.ends_ns, one.elements, strict=False)
            if count is not None
        ]
        per_minute = lasting_growth(sizes)
        if grown(container) is not None and per_minute is not None:
            yield _Growing(container, per_minute, sizes[-1][0] - sizes[0][0])


def _costs(profile: Profile, container: ContainerUse) -> bool:
    elements_each = container.chain.mean or 0.0
    ratio = container.estimated_duration_ns / profile.window.duration_ns
    return elements_each >= _LONG_CHAIN or ratio >= _LEAST_RATIO


def _load(profile: Profile) -> _Load:
    """Return whether Asterisk used more of the CPU at the end of the window than at its start.

    Of an idle one nobody can say so.
    """
    window, third_ns = profile.window, profile.window.duration_ns // 3
    times = [sample.time_ns for sample in profile.samples]
    first = sum(time < window.start_ns + third_ns for time in times)
    last = sum(time >= window.end_ns - third_ns for time in times)
    if first + last < _LEAST_SAMPLES:
        return _Load.UNKNOWN
    chance = _DEVIATIONS * math.sqrt(first + last)
    return _Load.RISES if last - first > max(_RISE_RATIO * first, chance) else _Load.STEADY


def _finding(profile: Profile, growing: Sequence[_Growing], severity: Severity) -> Finding:
    if len(growing) == 1:
        [only] = growing
        title = (
            f"{only.container.label}: grows by {only.per_minute:,.0f} entries a minute without "
            "limit"
        )
        shown = [_figures(only), *_linked(profile, only.container)]
    else:
        first, *others = growing
        title = (
            f"{first.container.label} and {len(others)} more: grow by up to "
            f"{first.per_minute:,.0f} entries a minute without limit"
        )
        shown = [
            text
            for one in growing[:_LISTED]
            for text in (
                f"{one.container.label}: {one.per_minute:,.0f} a minute, {_figures(one)}",
                *_linked(profile, one.container),
            )
        ]
    if len(growing) > _LISTED:
        shown.append(f"and {len(growing) - _LISTED} more: see GROWTH")
    subject = Subject(tuple(one.container.address for one in growing[:_LISTED]))
    advice = _ADVICE.format(pid=profile.target.pid)
    return Finding("growth", 0, title, tuple(shown), None, advice, severity, subject)


def _figures(growing: _Growing) -> str:
    container = growing.container
    return (
        f"{container.elements_start:,} to {container.elements_end:,}, as fast at the end of "
        f"{seconds(growing.seen_ns / 1e9)} as before"
    )


def _linked(profile: Profile, container: ContainerUse) -> Iterator[str]:
    """Yield who links most into a container, if that was seen."""
    uses = [] if profile.links is None else profile.links.uses
    uses = [use for use in uses if profile.containers[use.container] is container]
    for use in uses[:1]:
        links = sum(use.links for use in uses)
        yield (
            f"linked by {' <- '.join(use.callers)} "
            f"({percent(use.links / links)} of {links:,} links that were seen)"
        )
