"""Children of the process that use more CPU time than itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.findings.wording import percent
from profiler.model.finding import Finding
from profiler.model.profile import Profile

_LEAST_RATIO = 0.05  # of one CPU
_LISTED = 3


def children(profile: Profile) -> Iterator[Finding]:
    """Yield a finding if they did."""
    used = profile.children.cpu_ratio
    if used < _LEAST_RATIO or used <= profile.cpu_ratio:
        return
    listed = [one for one in profile.children.seen[:_LISTED] if one.cpu_ratio > 0]
    names = ", ".join(f"{one.count:,} x {one.name} {percent(one.cpu_ratio)}" for one in listed)
    yield Finding(
        "children",
        0,
        f"processes that Asterisk started use {percent(used)} of a CPU, itself "
        f"{percent(profile.cpu_ratio)}",
        (names or "each ended too soon to be seen",),
        used,
        "See what starts them: System(), AGI, MixMonitor, external scripts of voicemail.",
    )
