"""Sets for the lookup programs what they admit, and what they take a lookup to cost."""

from __future__ import annotations

import struct
from dataclasses import replace

from profiler.linux.module import BpfModule
from profiler.model.observed import Calibration
from profiler.windows.open_window import OpenWindow
from profiler.windows.snapshots import WindowSnapshot
from profiler.wire.lookups import Control

_ZERO = struct.pack("<I", 0)
_NODE_NS = 70  # expected cost of one step of a walk; only plans, never results, depend on it
_STACK_NS = 8_000
_STACK_SHARE = 8
# The same, and that of returns, in windows that are overhead-dominated.
_FEW_STACKS_SHARE = 64
_FEW_RETURNS_SHARE = 8
_PROGRAM_NS = 300  # a probe's program without walk and stack; until its run time is known
# The kernel refuses lookups this long after a window's end, should we not come to close it.
_LATEST_NS = 50_000_000
_WALK_SHARE = 8  # a walk expected to take more than this part of an allowance is left to chance
_SMOOTHING = 0.3
_LEAST_RUNS = 20  # fewer say nothing about the mean


class WindowControl:
    """Owner of the map `control`; nothing is admitted until a window is."""

    def __init__(self, module: BpfModule, calibration: Calibration) -> None:
        self._map = module.map("control")
        self._program_ns = _PROGRAM_NS
        # Also what programs go by while probes are placed: run times are those of the last window.
        self._control = Control(
            window=0,
            admit_until_ns=0,
            allowance_ns=0,
            walk_allowance_ns=_NODE_NS,
            trap_ns=calibration.trap_ns,
            stepped_trap_ns=calibration.stepped_trap_ns,
            return_trap_ns=calibration.return_trap_ns,
            program_ns=_PROGRAM_NS,
            node_ns=_NODE_NS,
            stack_ns=_STACK_NS,
            stack_share=_STACK_SHARE,
            return_share=1,
            predicts=False,
        )
        self.close()

    def admit(self, window: OpenWindow, is_overhead_dominated: bool) -> None:
        """Admit lookups until the window's grant is used up."""
        grant = window.grant
        control = replace(
            self._control,
            window=window.number,
            admit_until_ns=grant.until_ns + _LATEST_NS,
            allowance_ns=window.begin.state.spent_ns + grant.allowance_ns,
            walk_allowance_ns=max(grant.allowance_ns // _WALK_SHARE, _NODE_NS),
            program_ns=self._program_ns,
            stack_share=_FEW_STACKS_SHARE if is_overhead_dominated else _STACK_SHARE,
            return_share=_FEW_RETURNS_SHARE if is_overhead_dominated else 1,
            predicts=window.predicts,
        )
        self._set(control)

    def follow(self) -> None:
        """Admit no more lookups; those in flight are still followed to their return."""
        self._set(replace(self._control, admit_until_ns=0, allowance_ns=0))

    def close(self) -> None:
        """Have the programs leave all lookups alone."""
        self._set(replace(self._control, window=0, admit_until_ns=0, allowance_ns=0))

    def learn_program_time(self, window: OpenWindow, end: WindowSnapshot) -> None:
        """Learn what a program's run takes, from all that ran in a window."""
        begin = window.begin
        runs = end.run_count - begin.run_count
        if runs < _LEAST_RUNS:
            return
        walks_ns = end.state.walk_ns - begin.state.walk_ns
        mean = max(end.run_time_ns - begin.run_time_ns - walks_ns, 0) / runs
        self._program_ns += round(_SMOOTHING * (mean - self._program_ns))

    def _set(self, control: Control) -> None:
        self._control = control
        self._map.set(_ZERO, self._control.encode())
