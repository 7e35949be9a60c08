"""Reads everything that the lookup programs counted, and the containers and strings it names."""

from __future__ import annotations

from profiler.asterisk.containers import read_chain_lengths, read_container
from profiler.counting.container_watch import ContainerWatch
from profiler.counting.lookups import LookupMeasurement
from profiler.model import recording as rec
from profiler.model.observed import (
    ContainerKey,
    ContainerState,
    Histogram,
    ObservedContainer,
    ObservedLookups,
)
from profiler.probes.planner import ProbePlanner
from profiler.process.target import TargetProcess
from profiler.record.collection.container_keys import ContainerKeys
from profiler.record.collection.counted_groups import counted_groups, without_inner
from profiler.wire.lookups import (
    Group,
    GroupKey,
    HistogramKey,
    Kind,
    LookupStack,
    LookupStackKey,
)

_JUMP_BYTES = (2, 5, 6)  # of jumps and calls with a relative target
_MAX_CONTAINERS_READ = 2_000
_CHAINS_READ = 50  # of the containers with the most comparisons


def collect_lookups(
    measurement: LookupMeasurement, planner: ProbePlanner, target: TargetProcess
) -> ObservedLookups:
    """Return all counts; call it when the probes are gone."""
    counting = without_inner(measurement.counter.windows.all())
    groups = measurement.groups()
    groups |= counted_groups(groups, counting)
    keys = ContainerKeys(groups)
    measurement.containers.look()
    histograms: Histogram = {}
    for key, value in measurement.entries("histograms"):
        slot = HistogramKey.decode(key)
        count = int.from_bytes(value, "little")
        histograms.setdefault((slot.group, slot.metric), []).append((slot.slot, count))
    containers, unread = _containers(groups, measurement.containers, planner, target)
    stacks = {
        LookupStackKey.decode(key): LookupStack.decode(value)
        for key, value in measurement.entries("lookup_stacks")
    }
    texts = {
        address: measurement.cache.text(address)
        for key in groups
        if key.file
        for address in (key.file, key.function)
    }
    return ObservedLookups(
        groups=groups,
        histograms=histograms,
        stacks=stacks,
        counters=measurement.counters(),
        windows=measurement.windows.all(),
        counting=counting,
        cpu_begin_ns=measurement.cpu_begin_ns,
        cpu_end_ns=measurement.cpu_end_ns,
        containers=containers,
        reused=frozenset(filter(measurement.containers.is_reused, map(keys.of, groups))),
        texts=texts,
        entries=planner.entry_addresses(),
        probes=tuple(
            rec.Probe(
                probe.site.function,
                f"{probe.site.vaddr:#x}",
                probe.site.instruction,
                probe.site.reason,
            )
            for probe in measurement.probes.seen
        ),
        behind_probes=frozenset(
            probe.point.address + length
            for probe in measurement.probes.seen
            if probe.site.instruction.startswith(("j", "call"))
            for length in _JUMP_BYTES
        ),
        lacks_room=measurement.lacks_room,
        uncounted=measurement.counter.lost,
        unread=unread,
    )


def _containers(
    groups: dict[GroupKey, Group],
    watch: ContainerWatch,
    planner: ProbePlanner,
    target: TargetProcess,
) -> tuple[dict[ContainerKey, ObservedContainer], int]:
    """Read the containers as they are now, the busiest first; of gone ones what is known.

    Return also how many there were too many.
    """
    keys = ContainerKeys(groups)
    work: dict[ContainerKey, int] = {}
    for key, group in groups.items():
        identity = keys.of(key)
        work[identity] = work.get(identity, 0) + group.comparisons_total
    found = {}
    ranked = sorted(work, key=lambda identity: -work[identity])[:_MAX_CONTAINERS_READ]
    for rank, identity in enumerate(ranked):
        known = watch.state(identity)
        state = read_container(target.memory, identity.address, target.is_code)
        is_other = state is None or not _may_be(state, identity, known)
        is_gone = is_other or watch.has_died(identity)
        if is_gone:  # and perhaps another one has its place
            state = known
        if state is None:
            continue
        is_read = rank < _CHAINS_READ and not is_gone and not watch.is_reused(identity)
        found[identity] = ObservedContainer(
            state,
            is_gone,
            read_chain_lengths(target.memory, identity.address, state) if is_read else (),
            _is_list(state, planner),
            None if is_gone else watch.elements_start(identity),
        )
    return found, max(0, len(work) - _MAX_CONTAINERS_READ)


def _may_be(state: ContainerState, identity: ContainerKey, known: ContainerState | None) -> bool:
    """Return whether what is there now may be the container that lookups were measured in."""
    if (state.comparator or 0) != identity.comparator:
        return False
    if identity.buckets and state.buckets != identity.buckets:
        return False
    return known is None or _shape(state) == _shape(known)


def _shape(state: ContainerState) -> tuple[int | None, ...]:
    return (state.v_table, state.sort_function, state.hash_function, state.buckets)


def _is_list(state: ContainerState, planner: ProbePlanner) -> bool:
    """Return whether it is a list: a hash container of one bucket and hash function hash_zero()."""
    return (
        state.layout.kind is Kind.HASH
        and state.buckets == 1
        and state.hash_function is not None
        and planner.returns_zero(state.hash_function)
    )
