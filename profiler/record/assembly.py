"""Makes a recording of what was observed: indexes everything, names addresses, adds up windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from profiler import __version__
from profiler.asterisk.abi import ENTRY_FUNCTIONS
from profiler.asterisk.find import FoundTarget
from profiler.estimate.totals import estimate_totals
from profiler.model import recording as rec
from profiler.model.observed import (
    ContainerKey,
    Observed,
    ObservedContainer,
    ObservedLookups,
    UnwindStack,
)
from profiler.names.session import NamingSession
from profiler.process.mappings import TRAMPOLINES
from profiler.record.warnings import run_warnings
from profiler.wire.lookups import Group, GroupKey, Kind, LookupCounter, Metric, Verdict, slot_range
from profiler.wire.unwind import CAUSES, WHOLE

_CONTRADICTED = (
    Verdict.CONTRADICTED_NODE,
    Verdict.CONTRADICTED_END,
    Verdict.CONTRADICTED_RESULT,
)
_LOST = (
    LookupCounter.DEPTH,
    LookupCounter.THREADS,
    LookupCounter.GROUPS,
    LookupCounter.UNREADABLE,
    LookupCounter.UNFINISHED,
)
_KINDS = {Kind.HASH: "hash", Kind.RBTREE: "rbtree", Kind.UNKNOWN: "unknown"}
_IN_PROBE = "inside a probe"
# The kernel's part of a return probe (arch/x86/kernel/uprobes.c, SYSCALL_DEFINE0(uretprobe), Linux
# 6.11). Before it leaves, it lowers sp by what its trampoline pushed, then it sets ip back. Between
# these, ip is where the function returned to, and no register tells that sp does not belong to it.
_RETURN_PROBE_CALLS = frozenset(("__do_sys_uretprobe", "__x64_sys_uretprobe"))
StackKey = tuple[int, ...]  # key in the kernel's map, then frames that are put before it


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a recording comes from."""

    command: tuple[str, ...]
    started_at: str
    frequency_hz: float
    budget_ratio: float | None


class _Frames:
    """Indexes of frames and stacks, made as they are needed."""

    def __init__(
        self,
        stacks: Mapping[int, UnwindStack],
        path: Callable[[int], str | None],
        kernel_function: Callable[[int], str | None],
        kernel: bool,
        user: bool,
    ) -> None:
        self._known = stacks
        self._path = path
        self._kernel_function = kernel_function
        self._kernel = kernel
        self._user = user
        self.addresses: dict[int, int] = {}
        self.stacks: list[rec.Stack] = []
        self.ended_in: set[str] = set()  # paths of the code in which stacks were cut
        self.behind_probes: frozenset[int] = frozenset()
        self._indexes: dict[StackKey, int] = {}

    def frame(self, address: int) -> int:
        """Return the index of the frame at an address."""
        return self.addresses.setdefault(address, len(self.addresses))

    def stack(self, key: int, before: tuple[int, ...] = (), is_leaf: bool = True) -> int | None:
        """Return the index of a stack, None when the kernel did not keep it.

        `before` are addresses that come before its leaf. `is_leaf`: its first address is where
        execution was, else a return address.
        """
        identity = (key, *before)
        if identity not in self._indexes:
            known = self._known.get(key)
            if known is None:
                return None
            self._indexes[identity] = len(self.stacks)
            self.stacks.append(self._make(known, before, is_leaf))
        return self._indexes[identity]

    def _make(self, known: UnwindStack, before: tuple[int, ...], is_leaf: bool) -> rec.Stack:
        kernel = [self.frame(a) for a in _inside_calls(known.kernel, True)] if self._kernel else []
        # A sample in the kernel interrupted a system call: its user leaf is where that returns to,
        # which is behind the instruction, inside the same function.
        in_return_probe = self._is_cut_in_return_probe(known)
        seen = known.frames[:1] if in_return_probe else known.frames
        user = _inside_calls(seen, is_leaf) if self._user else ()
        frames = [*kernel, *(self.frame(a) for a in (*before, *user))]
        cause = _IN_PROBE if in_return_probe else self._cause(known)
        return rec.Stack(tuple(frames), len(kernel), cause)

    def _is_cut_in_return_probe(self, known: UnwindStack) -> bool:
        """Tell that what seems to be the leaf's callers is not."""
        if known.cause == WHOLE or not known.kernel:
            return False
        return self._kernel_function(known.kernel[0]) in _RETURN_PROBE_CALLS

    def _cause(self, known: UnwindStack) -> str | None:
        """Return why a stack was cut, None for a whole one."""
        if known.cause == WHOLE:
            return None
        path = self._path(known.frames[-1]) if known.frames else None
        if path == TRAMPOLINES:  # the sample met the kernel at one of our probes
            return _IN_PROBE
        # While the kernel emulates a probed jump, ip stands behind it for a moment, where code of
        # another function may lie, or none.
        if known.kernel and len(known.frames) == 1 and known.frames[0] in self.behind_probes:
            return _IN_PROBE
        if path is not None:
            self.ended_in.add(path)
        return CAUSES[min(known.cause, len(CAUSES) - 1)]


def _inside_calls(addresses: Iterable[int], is_leaf: bool) -> list[int]:
    """Return addresses inside the calls: a return address may belong to the next function."""
    return [address - (index > 0 or not is_leaf) for index, address in enumerate(addresses)]


def assemble(
    target: FoundTarget,
    provenance: Provenance,
    observed: Observed,
    names: NamingSession,
    kernel_frames: bool = True,
    user_frames: bool = True,
) -> rec.Recording:
    """Return the recording of a run."""
    frames = _Frames(observed.stacks, names.path, names.kernel_function, kernel_frames, user_frames)
    if observed.lookups is not None:
        frames.behind_probes = observed.lookups.behind_probes
    samples = []
    for time_ns, key, tid in observed.samples:
        stack = frames.stack(key)
        if stack is not None:
            samples.append(rec.Sample(time_ns, tid, stack))
    lookups = _Lookups(observed, frames) if observed.lookups else None
    names.pin()
    named = names.frames(frames.addresses)
    return rec.Recording(
        schema=rec.SCHEMA,
        tool_version=__version__,
        command=provenance.command,
        started_at=provenance.started_at,
        target=target.recorded(observed.exited),
        window=observed.window,
        stopped_by=observed.stopped_by,
        frequency_hz=provenance.frequency_hz / observed.sampled_one_in,
        files=names.files(),
        frames=named,
        stacks=tuple(frames.stacks),
        samples=tuple(sorted(samples, key=lambda sample: sample.time_ns)),
        sample_accounting=observed.sample_accounting,
        threads=observed.account.threads,
        sockets=observed.sockets,
        containers=lookups.containers if lookups else (),
        call_sites=lookups.call_sites if lookups else (),
        lookups=lookups.groups if lookups else (),
        lookup_stacks=lookups.stacks if lookups else (),
        lookup_accounting=_lookup_accounting(observed.lookups),
        probe_windows=tuple(w.window for w in observed.lookups.windows) if observed.lookups else (),
        probes=observed.lookups.probes if observed.lookups else (),
        cost=_cost(observed, provenance.budget_ratio),
        warnings=(
            *observed.warnings,
            *run_warnings(
                observed, provenance.frequency_hz, provenance.budget_ratio, frames.ended_in
            ),
            *names.problems(),
        ),
    )


def _cost(observed: Observed, budget_ratio: float | None) -> rec.Cost:
    calibration = observed.calibration
    return rec.Cost(
        budget_ratio=budget_ratio,
        sampling_ns=observed.sampling_cost_ns,
        lookups_ns=observed.lookup_cost_ns,
        trap_ns=calibration.trap_ns if calibration else 0,
        stepped_trap_ns=calibration.stepped_trap_ns if calibration else 0,
    )


def _lookup_accounting(lookups: ObservedLookups | None) -> rec.Accounting:
    if lookups is None:
        return rec.Accounting()
    counters = lookups.counters
    return rec.Accounting(
        fired=counters[LookupCounter.FIRED],
        kept=counters[LookupCounter.KEPT],
        filtered=counters[LookupCounter.INNER] + counters[LookupCounter.BARE],
        lost=sum(counters[counter] for counter in _LOST),
        collided=0,
        truncated=counters[LookupCounter.TRUNCATED],
    )


class _Lookups:
    """Containers, call sites and groups with their indexes."""

    def __init__(self, observed: Observed, frames: _Frames) -> None:
        assert observed.lookups is not None
        self._observed = observed.lookups
        self._frames = frames
        self._sites: dict[rec.CallSite, int] = {}
        self._totals = estimate_totals(
            self._observed.windows,
            self._observed.groups,
            self._observed.cpu_begin_ns,
            self._observed.cpu_end_ns,
        )
        ends = _container_ends(self._observed)
        self._container_index = {key: index for index, key in enumerate(ends)}
        self.containers = tuple(
            self._container(key, first, last) for key, (first, last) in ends.items()
        )
        self.groups = tuple(self._group(key, group) for key, group in self._observed.groups.items())
        self.call_sites = tuple(self._sites)
        self.stacks = tuple(self._stacks())

    def _container(self, key: ContainerKey, first: int, last: int) -> rec.Container:
        observed: ObservedContainer | None = self._observed.containers.get(key)
        state = observed.state if observed else None
        kind = _KINDS[state.layout.kind] if state else "unknown"
        if observed and observed.is_list:
            kind = "list"
        return rec.Container(
            address=key[0],
            kind=kind,
            buckets=state.buckets if state else None,
            elements_start=first,
            elements_end=state.elements if observed and state and not observed.is_gone else last,
            chain_lengths=observed.chain_lengths if observed else (),
            hash_function=self._function(state.hash_function if state else None),
            sort_function=self._function(state.sort_function if state else None),
            comparator=self._function(key[1] or None),
        )

    def _function(self, address: int | None) -> int | None:
        return None if address is None else self._frames.frame(address)

    def _call_site(self, key: GroupKey) -> int:
        if key.file:
            file = self._observed.texts.get(key.file)
            function = self._observed.texts.get(key.function)
            site = rec.CallSite(file, key.line, function or f"{key.function:#x}")
        else:
            site = rec.CallSite(None, None, f"{key.function:#x}")
        return self._sites.setdefault(site, len(self._sites))

    def _group(self, key: GroupKey, group: Group) -> rec.LookupGroup:
        verdicts = dict(zip(Verdict, group.verdicts, strict=True))
        measured = sum(group.verdicts)
        verified = verdicts[Verdict.VERIFIED]
        contradicted = sum(verdicts[verdict] for verdict in _CONTRADICTED)
        truncated = verdicts[Verdict.TRUNCATED_WALK]
        found = self._totals[key]
        return rec.LookupGroup(
            container=self._container_index[key.container, key.comparator],
            call_site=self._call_site(key),
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
        )

    def _distribution(
        self, group: Group, metric: Metric, total: int, maximum: int
    ) -> rec.Distribution:
        slots = sorted(self._observed.histograms.get((group.id, metric), ()))
        count = sum(number for _, number in slots)
        return rec.Distribution(
            count=count,
            total=total,
            max=maximum if count else None,
            slots=tuple((*slot_range(slot), number) for slot, number in slots),
        )

    def _stacks(self) -> Iterable[rec.LookupStack]:
        for key, (lookups, comparisons) in self._observed.stacks.items():
            entry = self._observed.entries.get(key.entry)
            # Only these compare with the container's own function; others bring one of theirs.
            is_find = ENTRY_FUNCTIONS[key.entry] in ("__ao2_find", "__ao2_weakproxy_find")
            compared = key.comparator if is_find else None
            before = tuple(address for address in (compared, entry) if address)
            stack = self._frames.stack(key.stack, before, is_leaf=False)
            container = self._container_index.get((key.container, key.comparator))
            if stack is not None and container is not None:
                yield rec.LookupStack(stack, container, float(lookups), float(comparisons))


def _container_ends(lookups: ObservedLookups) -> dict[ContainerKey, tuple[int, int]]:
    """Return the elements at the first and the last measured lookup of each container."""
    ends: dict[ContainerKey, tuple[int, int]] = {}
    # Windows tell the order; what none was charged with comes last.
    in_order = [found.key for window in lookups.windows for found in window.groups]
    for key in (*lookups.groups.keys() - set(in_order), *reversed(in_order)):
        if group := lookups.groups.get(key):
            identity = (key.container, key.comparator)
            _, last = ends.get(identity, (0, group.elements_last))
            ends[identity] = (group.elements_first, last)
    return ends
