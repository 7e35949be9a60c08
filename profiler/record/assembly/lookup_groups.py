"""Containers and lookup groups of a recording, with their indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from profiler.asterisk.abi import ENTRY_FUNCTIONS
from profiler.estimate.totals import Span, estimate_totals
from profiler.model import recording as rec
from profiler.model.observed import ContainerKey, ObservedContainer, ObservedLookups
from profiler.record.assembly.call_sites import CallSites
from profiler.record.assembly.stacks import StackIndex
from profiler.record.collection.container_keys import ContainerKeys
from profiler.wire.lookups import Group, GroupKey, Kind, Metric, Verdict, slot_range

_CONTRADICTED = (
    Verdict.CONTRADICTED_NODE,
    Verdict.CONTRADICTED_END,
    Verdict.CONTRADICTED_RESULT,
)
_KINDS = {Kind.HASH: "hash", Kind.RBTREE: "rbtree", Kind.UNKNOWN: "unknown"}


class LookupGroups:
    """Containers and groups with their indexes."""

    def __init__(
        self,
        observed: ObservedLookups,
        frames: StackIndex,
        sites: CallSites,
        sample_times: Callable[[rec.CallSite], Sequence[int]],
        period_ns: float,
    ) -> None:
        """`sample_times`: of samples at a call site, ascending; each stands for `period_ns`."""
        self._observed = observed
        self._frames = frames
        self._sites = sites
        self._totals = estimate_totals(
            observed.counting,
            observed.groups,
            lambda key: sample_times(sites.of_key(key)),
            Span(observed.cpu_begin_ns, observed.cpu_end_ns, period_ns),
        )
        self._keys = ContainerKeys(observed.groups, observed.reused)
        ends = last_elements(observed, self._keys)
        self.container_indexes = {key: index for index, key in enumerate(ends)}
        self.containers = tuple(self._container(key, last) for key, last in ends.items())
        self.groups = tuple(self._group(key, group) for key, group in observed.groups.items())
        self.stacks = tuple(self._stacks())

    def _container(self, key: ContainerKey, last: int | None) -> rec.Container:
        whole = key._replace(file=0)
        observed: ObservedContainer | None = self._observed.containers.get(whole)
        state = observed.state if observed else None
        is_there = observed and not observed.is_gone and whole not in self._observed.reused
        kind = _KINDS[state.layout.kind] if state else "unknown"
        if observed and observed.is_list:
            kind = "list"
        return rec.Container(
            address=key.address,
            kind=kind,
            buckets=state.buckets if state else key.buckets or None,
            elements_start=observed.elements_start if observed and is_there else None,
            elements_end=state.elements if state and is_there else last,
            chain_lengths=observed.chain_lengths if observed else (),
            hash_function=self._function(state.hash_function if state else None),
            sort_function=self._function(state.sort_function if state else None),
            comparator=self._function(key.comparator or None),
        )

    def _function(self, address: int | None) -> int | None:
        return None if address is None else self._frames.frame(address)

    def _group(self, key: GroupKey, group: Group) -> rec.LookupGroup:
        verdicts = dict(zip(Verdict, group.verdicts, strict=True))
        measured = sum(group.verdicts)
        verified = verdicts[Verdict.VERIFIED]
        contradicted = sum(verdicts[verdict] for verdict in _CONTRADICTED)
        truncated = verdicts[Verdict.TRUNCATED_WALK]
        found = self._totals[key]
        return rec.LookupGroup(
            container=self.container_indexes[self._keys.of(key)],
            call_site=self._sites.index(self._sites.of_key(key)),
            entry=ENTRY_FUNCTIONS[key.entry],
            flags=key.flags,
            measured=measured,
            verified=verified,
            unverifiable=measured - verified - contradicted - truncated,
            contradicted=contradicted,
            truncated=truncated,
            hits=group.hits,
            misses=group.misses,
            estimated_total=found.total,
            estimated_variance=found.variance,
            comparisons=self._distribution(
                group, Metric.COMPARISONS, group.comparisons_total, group.comparisons_max
            ),
            sort_calls=self._distribution(
                group, Metric.SORT_CALLS, group.sort_calls_total, group.sort_calls_max
            ),
            duration_ns=self._distribution(
                group, Metric.DURATION, group.duration_total_ns, group.duration_max_ns
            ),
            steps_agreed=group.agreed,
            steps_disagreed=group.disagreed,
            counted=found.counted,
        )

    def _distribution(
        self, group: Group, metric: Metric, total: int, maximum: int
    ) -> rec.Distribution:
        counted = self._observed.histograms.get((group.id, metric), ())
        slots = sorted(item for item in counted if item[1])  # a program makes a slot, then counts
        count = sum(number for _, number in slots)
        return rec.Distribution(
            count=count,
            total=total,
            max=maximum if count else None,
            slots=tuple((*slot_range(slot), number) for slot, number in slots),
        )

    def _stacks(self) -> Iterable[rec.LookupStack]:
        for key, made in self._observed.stacks.items():
            entry = self._observed.entries.get(key.entry)
            # Only these compare with the container's own function; others bring one of theirs.
            is_find = ENTRY_FUNCTIONS[key.entry] in ("__ao2_find", "__ao2_weakproxy_find")
            compared = key.comparator if is_find else None
            before = tuple(address for address in (compared, entry) if address)
            stack = self._frames.stack(key.stack_name, before, is_leaf=False)
            container = self.container_indexes.get(self._keys.of(key))
            if stack is not None and container is not None:
                yield rec.LookupStack(
                    stack, container, float(made.lookups), float(made.comparisons)
                )


def last_elements(lookups: ObservedLookups, keys: ContainerKeys) -> dict[ContainerKey, int | None]:
    """Return the elements at the last measured lookup of each container, if there was one."""
    last: dict[ContainerKey, int | None] = {}
    # Windows give the order; what none was charged with comes first.
    in_order = [found.key for window in lookups.windows for found in window.groups]
    for key in (*(lookups.groups.keys() - set(in_order)), *in_order):
        group = lookups.groups.get(key)
        if group and sum(group.verdicts):
            last[keys.of(key)] = group.elements_last
    for key in lookups.groups:  # of containers whose lookups were only counted
        last.setdefault(keys.of(key), None)
    return last
