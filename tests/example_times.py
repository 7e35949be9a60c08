"""What the made-up field story of tests.examples looks like over time."""

from __future__ import annotations

from profiler.model import recording as r
from profiler.model import time_line as t

SECOND_NS = 1_000_000_000
START_NS = 7_200 * SECOND_NS


def field_time_line() -> t.TimeLine:
    """Look once a second: windows end every fifth second, and the queue is full from 20 s on."""
    windows = tuple(500 if second % 5 == 4 else 0 for second in range(60))
    counted: list[float | None] = [12_300.0 + 40 * (second % 7) for second in range(60)]
    return t.TimeLine(
        ends_ns=tuple(START_NS + second * SECOND_NS for second in range(1, 61)),
        cost_ns=tuple(8_000_000 + 300_000 * (second % 9) for second in range(60)),
        lookups_hz=(*counted[:30], None, None, *counted[32:]),
        verified=windows,
        comparisons=tuple(lookups * (7_930 + at) for at, lookups in enumerate(windows)),
        queue_bytes=tuple(212_992 if second >= 20 else 768 * second for second in range(60)),
        drops=tuple(90 if second >= 20 else 0 for second in range(60)),
        containers=(
            t.ContainerSizes(0, tuple(55_585 + 2 * second for second in range(59)) + (55_702,)),
            t.ContainerSizes(1, (44,) * 60),
        ),
    )


def field_samples() -> tuple[r.Sample, ...]:
    """5,935 samples in time order: 5,814 of the busy thread, 91 and 30 of two others."""
    pattern = (0, 1, 0, 2, 0, 0, 1, 0, 3, 0, 1)
    rows = [(4733, pattern[index % len(pattern)], index * 10_101_010) for index in range(5_814)]
    rows += [(4711, 4, index * 650_000_000) for index in range(91)]
    rows += [(4720, 5, 500 + index * 1_900_000_000) for index in range(30)]
    rows.sort(key=lambda row: (row[2], row[0]))
    return tuple(r.Sample(START_NS + at, tid, stack) for tid, stack, at in rows)


def small_time_line() -> t.TimeLine:
    """Two intervals, with every kind of series, known and unknown."""
    return t.TimeLine(
        ends_ns=(START_NS + 200_000_000, START_NS + SECOND_NS),
        cost_ns=(2_900, 1_000),
        lookups_hz=(None, 96.5),
        verified=(3, 0),
        comparisons=(15_882, 0),
        queue_bytes=(0, 212_992),
        drops=(None, 1_204),
        containers=(t.ContainerSizes(0, (55_585, None)),),
    )
