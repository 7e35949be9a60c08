"""Whether a container grows without limit, as far as a run can tell. Pure.

Containers fill when Asterisk starts, when calls come in and when phones register, and then stay
level. One that only fills has grown in the beginning, a leak goes on. So each third of the time is
looked at by itself, and the end once more.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

LEAST_NS = 30_000_000_000  # in less time, what fills looks like what leaks
_PARTS = 6
# Each third has so much of the mean third's growth, the last one so much of the first one's, and
# the last sixth so much of the mean sixth's. Of what fills with a time constant of three times the
# run's length, the last third has 0.8 of the first one's growth.
_THIRD_RATIO, _FADING_RATIO, _LAST_RATIO = 0.75, 0.8, 0.5
_DEVIATIONS = 3.0  # by which each third's growth is more than chance makes of its steps


def lasting_growth(sizes: Sequence[tuple[int, int]]) -> float | None:
    """Return elements per minute if it grows to the end; `sizes`: (time in ns, elements)."""
    if len(sizes) < 2 or sizes[-1][0] - sizes[0][0] < LEAST_NS:
        return None
    start_ns, duration_ns = sizes[0][0], sizes[-1][0] - sizes[0][0]
    cuts = [_last_at(sizes, start_ns + duration_ns * part // _PARTS) for part in range(_PARTS + 1)]
    counts = [count for _, count in sizes]
    grown, last = counts[-1] - counts[0], counts[-1] - counts[cuts[-2]]
    thirds = [counts[begin : end + 1] for begin, end in zip(cuts[:-2:2], cuts[2::2], strict=True)]
    first_third, *_, last_third = (third[-1] - third[0] for third in thirds)
    goes_on = last_third >= _FADING_RATIO * first_third and last >= _LAST_RATIO * grown / _PARTS
    if grown <= 0 or not goes_on or not all(_is_part(third, grown) for third in thirds):
        return None
    return grown * 60e9 / duration_ns


def _last_at(sizes: Sequence[tuple[int, int]], time_ns: int) -> int:
    """Return the index of the last size that was read until then."""
    return bisect_right(sizes, (time_ns, math.inf)) - 1


def _is_part(third: Sequence[int], grown: int) -> bool:
    """Return whether a third grew as the others did, and not by chance."""
    steps = [after - before for before, after in pairwise(third)]
    growth = third[-1] - third[0]
    mean = growth / max(len(steps), 1)
    chance = math.sqrt(sum((step - mean) ** 2 for step in steps))
    return growth >= max(_THIRD_RATIO * grown / 3, _DEVIATIONS * chance)
