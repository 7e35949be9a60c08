"""Containers that grow. Pure.

What grows without costing anything is a note: containers fill after a start, and with calls.
"""

from __future__ import annotations

from collections.abc import Iterator

from profiler.findings.wording import seconds
from profiler.model.profile import ContainerUse, Finding, Profile, Severity

_GROWTH_RATIO = 0.01
_LEAST_GROWTH = 10
_LONG_CHAIN = 50  # elements in each bucket
_LEAST_RATIO = 0.005  # of the window in its lookups: a container with less costs nothing yet
_LISTED = 2
_ADVICE = "Expected while call volume rises. If it keeps growing at steady load, suspect a leak."


def grown(container: ContainerUse) -> int | None:
    """Return by how much it grew, if that is more than what comes and goes with calls."""
    start, end = container.elements_start, container.elements_end
    if start is None or end is None or end - start < max(_LEAST_GROWTH, _GROWTH_RATIO * start):
        return None
    return end - start


def growth(profile: Profile) -> Iterator[Finding]:
    """Yield a finding for each container whose growth costs, and one for all others."""
    found = [one for one in profile.containers if grown(one) is not None]
    found.sort(key=lambda one: -(grown(one) or 0))
    harmless = [one for one in found if not _costs(profile, one)]
    for container in found:
        if container not in harmless:
            yield _one(profile, container, Severity.GROWING)
    if len(harmless) == 1:
        yield _one(profile, harmless[0], Severity.NOTE)
    elif harmless:
        yield _several(profile, harmless)


def _costs(profile: Profile, container: ContainerUse) -> bool:
    elements_each = container.chain.mean or 0.0
    ratio = container.estimated_duration_ns / profile.window.duration_ns
    return elements_each >= _LONG_CHAIN or ratio >= _LEAST_RATIO


def _one(profile: Profile, container: ContainerUse, severity: Severity) -> Finding:
    title = f"{container.label}: grew by {grown(container) or 0:,} entries"
    return Finding("growth", 0, title, (_figures(profile, container),), None, _ADVICE, severity)


def _several(profile: Profile, containers: list[ContainerUse]) -> Finding:
    shown = [f"{one.label}: {_figures(profile, one)}" for one in containers[:_LISTED]]
    if len(containers) > _LISTED:
        shown.append(f"and {len(containers) - _LISTED} more: see GROWTH")
    title = (
        f"{len(containers)} containers grew in {seconds(profile.window.duration_s)}; "
        "their lookups cost next to nothing"
    )
    return Finding("growth", 0, title, tuple(shown), None, _ADVICE, Severity.NOTE)


def _figures(profile: Profile, container: ContainerUse) -> str:
    per_minute = (grown(container) or 0) * 60 / profile.window.duration_s
    return (
        f"{container.elements_start:,} to {container.elements_end:,}, {per_minute:,.0f} per minute"
    )
