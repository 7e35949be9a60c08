"""Which container the groups of lookups, and their call stacks, belong to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from profiler.model.observed import ContainerKey
from profiler.wire.lookups import Group, GroupKey, LookupStackKey


class ContainerKeys:
    """Tells the container by a key of the programs.

    Before the layout of a container is known, keys have no number of buckets: they belong to the
    container of which most was measured. Lookups in containers that followed each other at one
    address are kept apart by the source file that asked: each file has containers of its own.
    """

    def __init__(
        self, groups: Mapping[GroupKey, Group], reused: Iterable[ContainerKey] = ()
    ) -> None:
        self._reused = frozenset(reused)
        known = sorted(
            (key for key in groups if key.buckets), key=lambda key: _measured(groups[key])
        )
        self._buckets = {(key.container, key.comparator): key.buckets for key in known}

    def of(self, key: GroupKey | LookupStackKey) -> ContainerKey:
        """Return the container of a group or a call stack."""
        buckets = key.buckets or self._buckets.get((key.container, key.comparator), 0)
        whole = ContainerKey(key.container, key.comparator, buckets)
        return whole._replace(file=key.file) if whole in self._reused else whole


def _measured(group: Group) -> int:
    return sum(group.verdicts)
