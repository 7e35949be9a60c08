"""The budget: when lookup probes may be open, and how much a window may cost the target.

Pure arithmetic on times and costs, all in nanoseconds. What the target may lose grows with time;
what it has lost is measured. A window opens when the difference pays for it, and the kernel closes
it when its allowance is spent.
"""

from __future__ import annotations

from dataclasses import dataclass

# Part of the budget that is planned with. The rest is for what cannot be charged: caches that the
# traps spoil, and traps between the last charge and the removal of the probes.
PLANNED_RATIO = 0.6
FIRST_WAIT_NS = 30_000_000
# Placing and removing probes takes tens of milliseconds of our time, so windows less than this
# apart gain nothing.
MIN_CYCLE_NS = 100_000_000
MAX_WINDOW_NS = 1_000_000_000
MIN_ALLOWANCE_NS = 300_000
FIRST_ALLOWANCE_NS = 500_000
# A window may use what has been saved for at most this long, so that no second sees much more than
# its share.
MAX_SAVED_NS = 2_000_000_000
_SMOOTHING = 0.3


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to keep probes open: until `until_ns`, or until `allowance_ns` is spent."""

    until_ns: int
    allowance_ns: int


class Governor:
    """Grants windows so that the cost stays within `ratio` of one CPU; None: no limit."""

    def __init__(self, ratio: float | None, start_ns: int) -> None:
        self._ratio = ratio
        self._start_ns = start_ns
        self._spent_ns = 0.0
        self._overhead_ns = 0.0  # what a window costs beyond its allowance, smoothed
        self._last_open_ns = start_ns
        self._windows = 0

    @property
    def spent_ns(self) -> int:
        """All that was charged so far."""
        return round(self._spent_ns)

    def charge(self, cost_ns: int) -> None:
        """Count a cost that no window caused, e.g. of sampling."""
        self._spent_ns += cost_ns

    def credit_ns(self, now_ns: int) -> float:
        """Return what may be spent now; negative when too much was."""
        if self._ratio is None:
            return float(MAX_WINDOW_NS)
        planned = self._ratio * PLANNED_RATIO
        saved = planned * (now_ns - self._start_ns) - self._spent_ns
        return min(saved, planned * MAX_SAVED_NS)

    def grant(self, now_ns: int, is_open: bool) -> Grant | None:
        """Return leave to open a window now, or to keep the open one open; None: not now.

        Keeping it open is cheaper, because probes need not be placed anew.
        """
        if self._ratio is None:
            return Grant(now_ns + MAX_WINDOW_NS, 1 << 62)
        if is_open:
            allowance = self.credit_ns(now_ns)
            rate = self._ratio * PLANNED_RATIO * MAX_WINDOW_NS
            if allowance + rate < MIN_ALLOWANCE_NS or allowance < 0:
                return None
            return Grant(now_ns + MAX_WINDOW_NS, round(allowance + rate / 4))
        if now_ns - self._start_ns < FIRST_WAIT_NS:
            return None
        if self._windows and now_ns - self._last_open_ns < MIN_CYCLE_NS:
            return None
        allowance = self.credit_ns(now_ns) - self._overhead_ns
        needed = MIN_ALLOWANCE_NS if self._windows else FIRST_ALLOWANCE_NS
        # A window should do more than pay for its own opening.
        if allowance < max(self._least_allowance(needed), self._overhead_ns * 0.5):
            return None
        self._windows += 1
        self._last_open_ns = now_ns
        if self._windows == 1:
            allowance = min(allowance, self._least_allowance(FIRST_ALLOWANCE_NS))
        return Grant(now_ns + MAX_WINDOW_NS, round(allowance))

    def _least_allowance(self, wanted_ns: int) -> float:
        """Smallest useful allowance; a tiny budget gets a smaller one rather than no window."""
        assert self._ratio is not None
        return min(wanted_ns, self._ratio * PLANNED_RATIO * MAX_SAVED_NS / 2)

    def settle(self, cost_ns: int, allowance_ns: int) -> None:
        """Charge a window that was closed, and learn what closing late costs."""
        self._spent_ns += cost_ns
        beyond = max(cost_ns - allowance_ns, 0)
        self._overhead_ns += _SMOOTHING * (beyond - self._overhead_ns)
