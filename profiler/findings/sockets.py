"""UDP sockets whose packets wait or are lost. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile
from profiler.model.recording import Socket

_QUEUE_BYTES = 100_000
_LISTED = 3
_BUSY_RATIO = 0.25  # of the window, running or ready to: a thread that did less is no reason


def sockets(profile: Profile) -> Iterator[Finding]:
    """Yield a finding on sockets that lost packets, and one on others whose queue is long."""
    dropping = [one for one in profile.sockets if one.drops]
    waiting = [
        one
        for one in profile.sockets
        if not one.drops and one.receive_queue_bytes_max >= _QUEUE_BYTES
    ]
    for found, severity in ((dropping, Severity.LOST), (waiting, Severity.WAITING)):
        if found:
            yield _finding(profile, found, severity)


def _finding(profile: Profile, found: list[Socket], severity: Severity) -> Finding:
    title = f"UDP {found[0].local}" if len(found) == 1 else f"{len(found):,} UDP sockets"
    waiting = "packets wait" if any(one.receive_queue_bytes_max for one in found) else ""
    drops = sum(one.drops for one in found)
    dropped = f"{drops:,}{'' if waiting else ' packets'} were dropped" if drops else ""
    return Finding(
        "udp-backlog",
        0,
        f"{title}: {', '.join(filter(None, (waiting, dropped)))}",
        tuple(_evidence(found)),
        None,
        f"What reads {'this socket' if len(found) == 1 else 'them'} does not keep up"
        f"{_why(profile)}",
        severity,
    )


def _evidence(found: list[Socket]) -> Iterator[str]:
    if len(found) == 1:
        yield f"receive queue up to {found[0].receive_queue_bytes_max:,} bytes"
        return
    for one in found[:_LISTED]:
        queue_bytes = one.receive_queue_bytes_max
        yield f"{one.local}: {one.drops:,} dropped, queue up to {queue_bytes:,} bytes"
    if len(found) > _LISTED:
        yield f"and {len(found) - _LISTED:,} more: see UDP SOCKETS"


def _why(profile: Profile) -> str:
    """Return what may hold the reader up: a busy thread only if there is one."""
    busiest = max(profile.thread_groups, key=lambda group: group.runnable_ratio, default=None)
    if busiest is not None and busiest.runnable_ratio >= _BUSY_RATIO:
        return f": see {busiest.title}, which is the busiest thread."
    return ", though no thread is busy: it waits for another one, a lock, a database or DNS."
