"""Descriptors that are about to run out. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.findings.wording import percent
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile

_LEAST_RATIO = 0.9
_FULL_RATIO = 0.99  # a call needs several at once


def descriptors(profile: Profile) -> Iterator[Finding]:
    """Yield a finding if most of them are open."""
    known = profile.descriptors
    if known is None or known.open_max < _LEAST_RATIO * known.limit:
        return
    is_full = known.open_max >= _FULL_RATIO * known.limit
    yield Finding(
        "descriptors",
        0,
        f"{known.open_max:,} of {known.limit:,} descriptors are open",
        (
            "new calls, connections and files fail"
            if is_full
            else f"{percent(known.open_max / known.limit)}; at the limit new calls fail",
        ),
        None,
        "Raise the limit (LimitNOFILE= of systemd, ulimit -n). If they are more than calls and "
        f"connections explain, look for a leak: ls -l /proc/{profile.target.pid}/fd",
        Severity.LOST if is_full else Severity.WAITING,
    )
