"""Containers that grow. Pure.

Growth is a note: containers fill after a start, and with calls. It is worse where a container has
long chains, or its lookups take time already, and the load does not rise: nothing then explains it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from profiler.findings.wording import seconds
from profiler.model.finding import Finding, Severity
from profiler.model.profile import ContainerUse, Profile
from profiler.model.subject import Subject

_GROWTH_RATIO = 0.01
_LEAST_GROWTH = 10
_LONG_CHAIN = 50  # elements in each bucket
_LEAST_RATIO = 0.005  # of the window in its lookups: a container with less costs nothing yet
_LISTED = 2
# Load rises if CPU samples in the last third of the window are more than in the first: by so much,
# and by more than chance makes of them (three deviations).
_RISE_RATIO, _DEVIATIONS = 0.1, 3.0
_LEAST_SAMPLES = 100  # in these thirds together: fewer say nothing
_NOTE = "Expected while call volume rises. If it keeps growing at steady load, suspect a leak."
_STEADY = (
    "The load did not rise, so look for code that adds objects and never removes them. Only after "
    "a restart or reload is it expected."
)


def grown(container: ContainerUse) -> int | None:
    """Return by how much it grew, if that is more than what comes and goes with calls."""
    start, end = container.elements_start, container.elements_end
    if start is None or end is None or end - start < max(_LEAST_GROWTH, _GROWTH_RATIO * start):
        return None
    return end - start


def growth(profile: Profile) -> Iterator[Finding]:
    """Yield a finding for what grows and costs without more load, and a note for all others."""
    found = [one for one in profile.containers if grown(one) is not None]
    found.sort(key=lambda one: -(grown(one) or 0))
    is_steady = _does_not_rise(profile)
    worse = [one for one in found if is_steady and _costs(profile, one)]
    others = [one for one in found if one not in worse]
    if worse:
        yield _finding(profile, worse, _STEADY, Severity.GROWING)
    if others:
        yield _finding(profile, others, _NOTE, Severity.NOTE)


def _costs(profile: Profile, container: ContainerUse) -> bool:
    elements_each = container.chain.mean or 0.0
    ratio = container.estimated_duration_ns / profile.window.duration_ns
    return elements_each >= _LONG_CHAIN or ratio >= _LEAST_RATIO


def _does_not_rise(profile: Profile) -> bool:
    """Return whether Asterisk used no more of the CPU at the end of the window than at its start.

    Of an idle one nobody can say so.
    """
    window, third_ns = profile.window, profile.window.duration_ns // 3
    times = [sample.time_ns for sample in profile.samples]
    first = sum(time < window.start_ns + third_ns for time in times)
    last = sum(time >= window.end_ns - third_ns for time in times)
    chance = _DEVIATIONS * math.sqrt(first + last)
    is_known = first + last >= _LEAST_SAMPLES
    return is_known and last - first <= max(_RISE_RATIO * first, chance)


def _finding(
    profile: Profile, containers: Sequence[ContainerUse], advice: str, severity: Severity
) -> Finding:
    if len(containers) == 1:
        (only,) = containers
        title = f"{only.label}: grew by {grown(only) or 0:,} entries"
        shown = [_figures(profile, only)]
    else:
        title = f"{len(containers)} containers grew in {seconds(profile.window.duration_s)}"
        shown = [f"{one.label}: {_figures(profile, one)}" for one in containers[:_LISTED]]
    if severity is Severity.GROWING:
        title += " while the load did not rise"
    if len(containers) > _LISTED:
        shown.append(f"and {len(containers) - _LISTED} more: see GROWTH")
    subject = Subject(tuple(one.address for one in containers[:_LISTED]))
    return Finding("growth", 0, title, tuple(shown), None, advice, severity, subject)


def _figures(profile: Profile, container: ContainerUse) -> str:
    per_minute = (grown(container) or 0) * 60 / profile.window.duration_s
    return (
        f"{container.elements_start:,} to {container.elements_end:,}, {per_minute:,.0f} per minute"
    )
