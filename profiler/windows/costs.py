"""Charges to the budget what windows take from the target."""

from __future__ import annotations

from profiler.windows.budget import Governor
from profiler.windows.open_window import OpenWindow
from profiler.windows.snapshots import WindowSnapshot, WindowSnapshots

# What placing and removing the probes takes from the target beside the traps: its pages are copied
# and its CPUs have to forget them. See docs/overhead.md for how it was measured.
PLACING_NS = 150_000
# A window that costs this much beyond its allowance had threads wait for each other while probes
# were placed; from then on busy ones are placed apart. That takes a second wait for the kernel.
_CONTENDED_NS = 2_000_000


class WindowCosts:
    """Charges everything between two snapshots once, what lies between two windows too."""

    def __init__(self, snapshots: WindowSnapshots, governor: Governor) -> None:
        self._snapshots = snapshots
        self._governor = governor
        self._charged: WindowSnapshot | None = None
        self.is_contended = False  # while probes are placed threads wait for each other

    def begin(self) -> WindowSnapshot:
        """Charge from now on; return what was counted before the probes are placed."""
        self._charged = self._snapshots.read()
        return self._charged

    def charge(self, window: OpenWindow, end: WindowSnapshot, closed: bool) -> float:
        """Charge a window up to its `end`, or up to now once it is closed; return its cost."""
        assert self._charged is not None
        last = self._snapshots.read() if closed else end
        cost_ns = self._charged.cost_ns(last) + (PLACING_NS if closed else 0)
        self._charged = last
        self._governor.charge_window(cost_ns, window.grant.allowance_ns, closed)
        self.is_contended |= cost_ns > window.grant.allowance_ns + _CONTENDED_NS
        return cost_ns
