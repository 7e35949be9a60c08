"""The budget: when lookup probes may be open, and how much a window may cost the target.

Pure arithmetic on times and costs, all in nanoseconds. What may be spent flows into a bucket at a
steady rate; every cost is taken out when it is known. A window opens when the bucket pays for it
and for what its closing is known to cost, and the kernel stops it when its allowance is spent.

What holds, for windows that cost at most LATE_NS more than their allowance: over any stretch of
time that is at least `horizon_ns` long, so the first too, the cost stays below `ratio` of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

# Part of the budget that flows into the bucket, and part that flows into a second one, for what
# is measured beside lookups: samples, waits, tasks, links. What these take beyond is taken out of
# the first. Both buckets' depths are the rest of one horizon's budget, so that full buckets and
# all that flows in meanwhile stay within the budget. A deep bucket pays for walks along long
# chains; what flows less leaves room for what cannot be charged.
PLANNED_RATIO = 0.4
BESIDE_RATIO = 0.3
_BESIDE_DEPTH_RATIO = 0.1
DEPTH_RATIO = 1 - PLANNED_RATIO - BESIDE_RATIO - _BESIDE_DEPTH_RATIO
SECOND_NS = 1_000_000_000
# A walk along 50,000 nodes takes 4 ms: a bucket that holds less would never see one.
LEAST_DEPTH_NS = 6_000_000
LEAST_SHARED_DEPTH_NS = 3_000_000
# What a window may cost beyond its allowance until it is known: the probes are hit until they are
# gone, and placing and removing them is not free.
LATE_NS = 1_000_000
MIN_ALLOWANCE_NS = 250_000
# Placing and removing probes takes tens of milliseconds of our own time. The moments are left to
# chance (up to twice this, and the level too), so that windows do not keep step with timers.
MIN_CYCLE_NS = 200_000_000
# An open window is charged this often; one that only counts, at its end.
MAX_WINDOW_NS = 250_000_000
UNLIMITED_NS = 1 << 62
# While it is learned what containers there are, a window need not pay for more than this.
_LEARNING_ALLOWANCE_NS = 500_000
# Other windows open as soon as the bucket is not empty. Where it hardly fills, lookups, which need
# more, would never have one: after this long, each of the others has to wait for them.
_LONGEST_WAIT_NS = 2_000_000_000
_FORGET = 0.85
# Of what a window costs beyond its allowance and LATE_NS, it may measure at least this part.
_WORTH_RATIO = 0.25


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to keep probes open: until `until_ns`, or until `allowance_ns` is spent."""

    until_ns: int
    allowance_ns: int


class Governor:
    """Grants windows so that the cost stays within `ratio` of one CPU; None: no limit."""

    def __init__(
        self,
        ratio: float | None,
        start_ns: int,
        draw: Callable[[], float] = random.random,
        least_depth_ns: float = LEAST_DEPTH_NS,
    ) -> None:
        """`draw`: numbers from 0 to 1, by which the moments of windows are left to chance."""
        self._ratio = ratio
        self._level_ns = 0.0
        self._level_at_ns = start_ns
        self._spent_ns = 0.0
        self._sampled_ns = 0.0
        self._draw = draw
        self._least_depth_ns = least_depth_ns
        self._chance = draw()
        self._late_ns = float(LATE_NS)
        self._opened_ns: int | None = None
        self._beside_ns = 0.0
        self._beside_at_ns = start_ns
        self.granted = 0  # how often a window was granted, or went on
        self._granted_ns = start_ns  # when that was last
        self._is_claimed = False
        self.saves = False  # wait until the bucket is full: long chains were not walked
        self.learns = False  # windows are short, and come soon: little is known yet

    @property
    def is_limited(self) -> bool:
        """Return whether there is a budget."""
        return self._ratio is not None

    @property
    def spent_ns(self) -> int:
        """All that was charged so far."""
        return round(self._spent_ns)

    @property
    def probes_ns(self) -> float:
        """All that was charged so far but for samples."""
        return self._spent_ns - self._sampled_ns

    def share(self, part: float) -> Governor:
        """Return one that limits something to a part of what flows; charge it there and here.

        It saves less: nothing that it pays for takes as long as a walk.
        """
        ratio = None if self._ratio is None else self._ratio * part
        return Governor(ratio, self._level_at_ns, self._draw, LEAST_SHARED_DEPTH_NS)

    @property
    def horizon_ns(self) -> float:
        """The shortest stretch of time over which the budget is kept; infinite without one."""
        if not self._ratio:
            return float("inf")
        return max(SECOND_NS, self._least_depth_ns / (DEPTH_RATIO * self._ratio))

    @property
    def depth_ns(self) -> float:
        """The most that can be saved for one window."""
        return DEPTH_RATIO * self._ratio * self.horizon_ns if self._ratio else 0.0

    def charge(self, cost_ns: float) -> None:
        """Count a cost."""
        self._spent_ns += cost_ns
        self._level_ns -= cost_ns

    def charge_sampling(self, cost_ns: float, now_ns: int) -> None:
        """Count what samples cost since the last time."""
        self._sampled_ns += cost_ns
        self.charge_beside(cost_ns, now_ns)

    def charge_beside(self, cost_ns: float, now_ns: int) -> None:
        """Count what was measured beside lookups; its own bucket comes first."""
        flow = BESIDE_RATIO * (self._ratio or 0) * max(now_ns - self._beside_at_ns, 0)
        self._beside_at_ns = max(now_ns, self._beside_at_ns)
        depth = _BESIDE_DEPTH_RATIO * self._ratio * self.horizon_ns if self._ratio else 0.0
        left = min(self._beside_ns + flow, depth) - cost_ns
        self._beside_ns = max(left, 0.0)
        self._level_ns += min(left, 0.0)
        self._spent_ns += cost_ns

    def level_ns(self, now_ns: int) -> float:
        """Return what may be spent now; negative when too much was. Without a budget: all."""
        if self._ratio is None:
            return math.inf
        if now_ns > self._level_at_ns:
            flow = self._ratio * PLANNED_RATIO * (now_ns - self._level_at_ns)
            self._level_ns = min(self._level_ns + flow, max(self.depth_ns, self._level_ns))
            self._level_at_ns = now_ns
        return self._level_ns

    def grant(self, now_ns: int, is_open: bool) -> Grant | None:
        """Return leave to open a window now, or to keep the open one open; None: not now."""
        if self._ratio is None:
            return Grant(now_ns + MAX_WINDOW_NS, UNLIMITED_NS)
        allowance = self._going_on_ns(now_ns) if is_open else self._opening_ns(now_ns)
        if allowance is None:
            return None
        self._is_claimed = False
        self.granted += 1
        self._granted_ns = now_ns
        return Grant(now_ns + MAX_WINDOW_NS, round(allowance))

    def _going_on_ns(self, now_ns: int) -> float | None:
        """Return what the open window may cost; what closing costs stays in the bucket."""
        allowance = self.level_ns(now_ns) - self._reserve_ns()
        return None if allowance < MIN_ALLOWANCE_NS else allowance

    def _opening_ns(self, now_ns: int) -> float | None:
        """Return what a new window may cost."""
        if self._opened_ns is not None and now_ns - self._opened_ns < self._cycle_ns:
            return None
        level = self.level_ns(now_ns)
        if level < self._wanted_ns():
            return None
        self._opened_ns = now_ns
        self._chance = self._draw()
        # Where placing and removing probes is expensive, they have to be worth it.
        least = max(MIN_ALLOWANCE_NS, _WORTH_RATIO * (self._late_ns - LATE_NS))
        most = _LEARNING_ALLOWANCE_NS if self._is_learning else math.inf
        return max(min(level - self._late_ns, most), least)

    @property
    def _is_learning(self) -> bool:
        return self.learns and not self.saves

    def claim(self) -> None:
        """Let other kinds of windows wait until one is granted here: see `goes_first`."""
        self._is_claimed = True

    def give_up(self) -> None:
        """Let them wait no more: no window will be asked for."""
        self._is_claimed = False

    def goes_first(self, now_ns: int, granted: int) -> bool:
        """Return whether a window has to be granted here before another kind may have its next.

        `granted`: how many had been granted here when that kind had its last one.
        """
        is_long = now_ns - self._granted_ns > _LONGEST_WAIT_NS
        return self._is_claimed and (self.learns or (is_long and granted == self.granted))

    def _reserve_ns(self) -> float:
        return min(self._late_ns, self.depth_ns / 2)

    def _wanted_ns(self) -> float:
        """The level at which a window pays: it measures longer than it closes."""
        if self._opened_ns is None or self._is_learning:
            return min(self._late_ns + MIN_ALLOWANCE_NS, self.depth_ns)
        return self.depth_ns * (0.98 if self.saves else 0.5 + 0.48 * self._chance)

    @property
    def _cycle_ns(self) -> float:
        return MIN_CYCLE_NS * (1 + self._chance)

    def wait_ns(self, now_ns: int) -> int:
        """Return how long no window can be granted."""
        if self._ratio is None:
            return 0
        missing = self._wanted_ns() - self.level_ns(now_ns)
        rest = 0.0
        if self._opened_ns is not None:
            rest = self._cycle_ns - (now_ns - self._opened_ns)
        return max(math.ceil(missing / (self._ratio * PLANNED_RATIO)) + 1, math.ceil(rest), 0)

    def charge_window(self, cost_ns: float, allowance_ns: float, closed: bool) -> None:
        """Charge a window; of one that was closed, learn what that costs beyond the allowance."""
        self.charge(cost_ns)
        if closed:
            beyond = max(cost_ns - allowance_ns, 0.0)
            self._late_ns = max(beyond, _FORGET * self._late_ns + (1 - _FORGET) * beyond)
