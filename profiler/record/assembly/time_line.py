"""The time line of a recording: what was followed, one number for each interval. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from profiler.model.observed import ContainerKey, CountingWindow, Followed
from profiler.model.recording import LookupGroup, Window
from profiler.model.time_line import ContainerSizes, TimeLine

MOST_CONTAINERS = 20
_DIGITS = 3  # of lookups a second, behind the point


def time_line(
    followed: Followed,
    window: Window,
    counting: Sequence[CountingWindow],
    indexes: Mapping[ContainerKey, int],
    groups: Sequence[LookupGroup],
) -> TimeLine:
    """Return the time line; `indexes`: of the recording's containers."""
    ends_ns = followed.ends_ns
    return TimeLine(
        ends_ns=ends_ns,
        cost_ns=_steps(followed.cost_ns),
        lookups_hz=_rates(ends_ns, window, counting),
        verified=_steps(followed.verified),
        comparisons=_steps(followed.comparisons),
        queue_bytes=followed.queue_bytes,
        drops=_steps(followed.drops),
        containers=tuple(_containers(followed, indexes, groups)),
    )


def _steps(counts: Sequence[int | None]) -> tuple[int | None, ...]:
    """Return by how much a count grew in each interval."""
    steps: list[int | None] = []
    last = 0
    for count in counts:
        steps.append(None if count is None else max(count - last, 0))
        last = last if count is None else count
    return tuple(steps)


def _rates(
    ends_ns: Sequence[int], window: Window, counting: Sequence[CountingWindow]
) -> tuple[float | None, ...]:
    """Return lookups a second in each interval; () if none were counted at all."""
    if not counting or not ends_ns:
        return ()
    rates: list[float | None] = []
    start_ns, first = window.start_ns, 0
    for end_ns in ends_ns:
        while first < len(counting) and counting[first].end_ns <= start_ns:
            first += 1
        rates.append(_rate(start_ns, end_ns, counting, first))
        start_ns = end_ns
    return tuple(rates)


def _rate(
    start_ns: int, end_ns: int, counting: Sequence[CountingWindow], first: int
) -> float | None:
    """Return the rate of windows from the `first` on, by how much of each is in an interval."""
    lookups = open_ns = 0.0
    for one in counting[first:]:
        if one.start_ns >= end_ns:
            break
        inside_ns = min(end_ns, one.end_ns) - max(start_ns, one.start_ns)
        part = max(inside_ns, 0) / max(one.end_ns - one.start_ns, 1)
        lookups += part * one.lookups
        open_ns += part * one.open_ns
    return round(lookups * 1e9 / open_ns, _DIGITS) if open_ns >= 1 else None


def _containers(
    followed: Followed, indexes: Mapping[ContainerKey, int], groups: Sequence[LookupGroup]
) -> Iterator[ContainerSizes]:
    """Yield the containers that changed most and those whose lookups took most time, in turn."""
    times: Counter[int] = Counter()
    for group in groups:
        times[group.container] += group.duration_ns.total
    known = [key for key in followed.elements if key in indexes]
    changed = sorted(known, key=lambda key: -_change(followed.elements[key]))
    slow = sorted(known, key=lambda key: -times[indexes[key]])
    in_turn = (key for pair in zip(changed, slow, strict=True) for key in pair)
    for key in list(dict.fromkeys(in_turn))[:MOST_CONTAINERS]:
        yield ContainerSizes(indexes[key], followed.elements[key])


def _change(elements: Sequence[int | None]) -> int:
    known = [number for number in elements if number is not None]
    return max(known, default=0) - min(known, default=0)
