"""How many lookups of each group the programs have counted, and which probes such lookups pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from profiler.linux.module import BpfModule
from profiler.model.observed import GroupCount
from profiler.probes.planner import PlannedProbe
from profiler.wire.lookups import Group, GroupKey, Place, Verdict


class GroupCounts:
    """Reads the programs' sums at the end of each window.

    `note` is called at the end of each that measures, with the keys of the groups that it measured.
    """

    def __init__(self, module: BpfModule, note: Callable[[Sequence[GroupKey]], None]) -> None:
        self._module = module
        self._note = note
        self._measured: dict[GroupKey, int] = {}
        self._entry_counts: dict[GroupKey, int] = {}
        self._v_tables: set[int] = set()
        self._keys: dict[bytes, GroupKey] = {}  # one for all windows of a long recording
        self.verdicts = (0,) * len(Verdict)  # of all lookups measured so far, by Verdict
        self.comparisons = 0  # of all verified ones so far

    def groups(self) -> dict[GroupKey, Group]:
        """Return the sums of all groups."""
        return {
            self._key(key): Group.decode(value) for key, value in self._module.map("groups").items()
        }

    def measured(self) -> tuple[GroupCount, ...]:
        """Return how many lookups were measured since the last call."""
        groups = self.groups()
        self._v_tables.update(group.v_table for group in groups.values())
        totals = {key: sum(group.verdicts) for key, group in groups.items()}
        self.verdicts = tuple(
            sum(group.verdicts[verdict] for group in groups.values()) for verdict in Verdict
        )
        self.comparisons = sum(group.comparisons_total for group in groups.values())
        found = self._new(self._measured, totals)
        self._note([group.key for group in found])
        return found

    def entry_counts(self) -> tuple[GroupCount, ...]:
        """Return how many were only counted since the last call; their keys have no comparator."""
        totals = {
            self._key(key): int.from_bytes(value, "little")
            for key, value in self._module.map("entry_counts").items()
        }
        return self._new(self._entry_counts, totals)

    def _key(self, data: bytes) -> GroupKey:
        found = self._keys.get(data)
        if found is None:
            found = self._keys[data] = GroupKey.decode(data)
        return found

    def _new(
        self, known: dict[GroupKey, int], totals: dict[GroupKey, int]
    ) -> tuple[GroupCount, ...]:
        found = []
        for key, total in totals.items():
            new = total - known.get(key, 0)
            if new:
                found.append(GroupCount(key, new))
                known[key] = total
        return tuple(found)

    def entries(self) -> frozenset[int]:
        """Return the entry functions of all lookups measured so far, by their index."""
        return frozenset(key.entry for key in self._measured)

    def is_busy(self, probe: PlannedProbe) -> bool:
        """Return whether lookups like those seen so far pass a probe; until then, __ao2_find's."""
        entries = {key.entry for keys in (self._measured, self._entry_counts) for key in keys}
        if probe.entries.isdisjoint(entries or {Place.FIND}):
            return False
        return probe.v_table is None or not self._v_tables or probe.v_table in self._v_tables
