"""Learns what the lookup programs met and did not know: containers' layouts, functions to probe."""

from __future__ import annotations

import struct

from profiler.asterisk.containers import read_container
from profiler.linux.module import BpfModule
from profiler.probes.planner import PlannedProbe, ProbePlanner
from profiler.probes.push_sites import forget_push_site, report_push_sites
from profiler.process.target import TargetProcess
from profiler.wire.lookups import MATCH_BY_ADDRESS

MAX_COMPARISON_PROBES = 64
_ONE = struct.pack("<I", 1)


class Discovery:
    """Reads what the programs ask for, and answers with layouts and probes."""

    def __init__(
        self,
        module: BpfModule,
        planner: ProbePlanner,
        target: TargetProcess,
    ) -> None:
        self._module = module
        self._planner = planner
        self._target = target
        self._refused: set[int] = set()
        self.comparisons: dict[int, PlannedProbe] = {}  # by function
        self.lacks_room = False  # for all kinds of containers, and all functions that compare

    def look(self) -> bool:
        """Learn all that is new; return whether more sites must be probed."""
        for _, value in self._asked("unknown_v_tables"):
            self._learn(struct.unpack("<Q", value)[0])
        changed = self._forget_unloaded()
        for key, value in self._asked("wanted_functions"):
            for (function,) in (struct.unpack("<Q", key), struct.unpack("<Q", value)):
                changed |= self._want(function)
        return changed

    def _asked(self, name: str) -> list[tuple[bytes, bytes]]:
        """Return what the programs ask for in a map, which may be full."""
        asked = list(self._module.map(name).items())
        self.lacks_room |= len(asked) >= self._module.map(name).max_entries
        return asked

    def placed(self) -> None:
        """Report to the programs that the probes on comparison functions are there."""
        trapped = self._module.map("trapped_functions")
        for function in self.comparisons:
            trapped.set(struct.pack("<Q", function), _ONE)

    def _learn(self, container: int) -> None:
        state = read_container(self._target.memory, container, self._target.is_code)
        if state is None:
            return
        v_table = struct.pack("<Q", state.v_table)
        try:
            self._module.map("layouts").set(v_table, state.layout.encode())
        except OSError:  # full, of more kinds than Asterisk has; others stay unverified
            self.lacks_room = True
        self._module.map("unknown_v_tables").delete(v_table)

    def _forget_unloaded(self) -> bool:
        """Forget functions of modules that were unloaded, and replaced by others."""
        gone = [
            function
            for function, probe in self.comparisons.items()
            if not self._planner.is_current(function, probe)
        ]
        for function in gone:
            forget_push_site(self._module, self.comparisons.pop(function))
            self._module.map("trapped_functions").delete(struct.pack("<Q", function))
        return bool(gone)

    def _want(self, function: int) -> bool:
        if function in self.comparisons or function in self._refused:
            return False
        if function != MATCH_BY_ADDRESS and not self._target.is_code(function):
            return False  # perhaps of a module that was loaded since we looked
        probe = None
        if len(self.comparisons) < MAX_COMPARISON_PROBES:
            probe = self._planner.comparison(function)
        else:
            self.lacks_room = True
        if probe is None:
            self._refused.add(function)
            return False
        self.comparisons[function] = probe
        report_push_sites(self._module, (probe,))
        return True
