"""What windows of one kind may cost. Pure arithmetic on times and costs, in nanoseconds."""

from __future__ import annotations

from profiler.windows.budget import LEAST_SHARED_DEPTH_NS, Governor, Grant

_LEAST_PAUSE_NS = 5_000_000


class WindowBudget:
    """Grants windows within a limit, and charges them to it and to the whole budget."""

    def __init__(
        self,
        whole: Governor,
        limit: Governor,
        is_beside: bool = False,
        placing_ns: int = 0,
    ) -> None:
        """`is_beside`: see Governor.charge_beside. `placing_ns`: of placing and removing probes."""
        self._whole = whole
        self._limit = limit
        self._is_beside = is_beside
        self._placing_ns = placing_ns
        self._whole_granted = -1  # how many windows the whole had granted when this had its last
        self._closed = 0
        self._charged_ns = 0.0
        self._granted_cost_ns = 0.0
        self._grant = Grant(0, 0)

    @property
    def grant(self) -> Grant:
        """Return what was granted last."""
        return self._grant

    @property
    def charged_ns(self) -> float:
        """Return all that was charged so far."""
        return self._charged_ns

    def open(self, now_ns: int) -> Grant | None:
        """Return leave to open a window now; None: ask again at `next_ns`."""
        has_room = self._whole.level_ns(now_ns) >= 0
        if not has_room or self._whole.goes_first(now_ns, self._whole_granted):
            return None
        grant = self._begun(self._limit.grant(now_ns, is_open=False))
        if grant is not None:
            self._whole_granted = self._whole.granted
        return grant

    def next_ns(self, now_ns: int) -> int:
        """Return when to ask again for leave to open one."""
        return now_ns + max(self._limit.wait_ns(now_ns), _LEAST_PAUSE_NS)

    def go_on(self, now_ns: int) -> Grant | None:
        """Return leave to keep the window open; None: close it."""
        is_overdrawn = self._whole.level_ns(now_ns) < -LEAST_SHARED_DEPTH_NS
        return self._begun(None if is_overdrawn else self._limit.grant(now_ns, is_open=True))

    def charge(self, taken_ns: float, now_ns: int, closed: bool) -> None:
        """Charge what was taken since the last time; `taken_ns`: from the run's start on."""
        self._closed += closed
        taken_ns += self._closed * self._placing_ns
        cost_ns, self._charged_ns = taken_ns - self._charged_ns, taken_ns
        if self._is_beside:
            self._whole.charge_beside(cost_ns, now_ns)
        elif self._whole is not self._limit:
            self._whole.charge(cost_ns)
        left_ns = self._grant.allowance_ns - self._granted_cost_ns
        self._granted_cost_ns += cost_ns
        self._limit.charge_window(cost_ns, left_ns, closed)

    def _begun(self, grant: Grant | None) -> Grant | None:
        if grant is not None:
            self._grant = grant
            self._granted_cost_ns = 0.0
        return grant
