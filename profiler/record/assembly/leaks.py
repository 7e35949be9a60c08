"""Makes a recording of the objects that were followed: indexes everything, names addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from profiler import __version__
from profiler.asterisk.find import FoundTarget
from profiler.leaks.histories import ObservedObject, Step, lost_changes, steps
from profiler.leaks.measurement import ObjectMeasurement, Totals
from profiler.leaks.plan import ObjectPlan
from profiler.model import leaks, recording
from profiler.model.folded_names import folded
from profiler.model.leaks import ChangeKind, LeaksRecording
from profiler.model.observed import Calibration
from profiler.names.session import NamingSession
from profiler.record.assembly.call_sites import CallSites
from profiler.record.assembly.host import read_host
from profiler.record.assembly.stacks import StackIndex
from profiler.wire.leaks import ObjectEvent, ObjectLink, ObjectPlace, ObjectTypeKey
from profiler.wire.lookups import Kind

# What gives references back for a variable that leaves its scope passes its own place, always the
# same: include/asterisk/utils.h RAII_VAR, main/astobj2.c __ao2_cleanup().
_CLEANUP = "__ao2_cleanup"
_KINDS = {
    ObjectPlace.REFERENCE: ChangeKind.REFERENCE,
    ObjectPlace.LINK: ChangeKind.LINK,
    ObjectPlace.UNLINK: ChangeKind.UNLINK,
}
_NAMED_TYPES = 128  # those with most living objects
_NAMES = 10  # of each
_ALIKE_MIN = 3  # a name of one phone says who that is; what three have in common does not
_CONTAINER_KINDS = {Kind.HASH: "hash", Kind.RBTREE: "rbtree"}


@dataclass(frozen=True, slots=True)
class LeaksRun:
    """What a finished run of `ebpf-prof leaks` hands over."""

    command: tuple[str, ...]
    started_at: str
    window: recording.Window
    stopped_by: str
    exited: bool
    budget_ratio: float | None
    spent_ns: int
    plan: ObjectPlan
    calibration: Calibration
    warnings: tuple[str, ...]
    show_keys: bool


def assemble_leaks(
    target: FoundTarget, run: LeaksRun, measurement: ObjectMeasurement, names: NamingSession
) -> LeaksRecording:
    """Return the recording of a run whose probes are gone."""
    index = _Index(measurement, names)
    objects = tuple(map(index.object, measurement.histories.objects))
    births = tuple(index.birth_count(key, born) for key, born in measurement.births().items())
    links = tuple(index.link_count(link, count) for link, count in measurement.links())
    containers = tuple(index.containers())
    totals = measurement.totals()
    called = tuple(_called(measurement, objects, tuple(index.types), run.show_keys))
    return LeaksRecording(
        schema=leaks.LEAKS_SCHEMA,
        tool_version=__version__,
        command=run.command,
        started_at=run.started_at,
        target=replace(target.recorded(run.exited), system=names.system(target.process.exe or "")),
        window=run.window,
        stopped_by=run.stopped_by,
        files=names.files(),
        frames=names.frames(index.frames.addresses),
        stacks=tuple(index.frames.stacks),
        sites=index.sites.sites,
        types=tuple(index.types),
        objects=objects,
        births=births,
        links=links,
        containers=containers,
        windows=tuple(measurement.all.windows),
        free_windows=tuple(measurement.frees.windows),
        birth_accounting=_births(totals, len(objects)),
        change_accounting=recording.Accounting(
            fired=totals.changes,
            kept=totals.changes - totals.changes_lost - measurement.histories.unmatched,
            lost=totals.changes_lost + measurement.histories.unmatched,
        ),
        probes=tuple(
            recording.Probe(
                probe.site.function,
                f"{probe.site.vaddr:#x}",
                probe.site.instruction,
                probe.site.reason,
            )
            for probe in (*run.plan.all, *run.plan.frees)
        ),
        cost=recording.Cost(
            budget_ratio=run.budget_ratio,
            sampling_ns=0,
            lookups_ns=run.spent_ns,
            trap_ns=run.calibration.trap_ns,
            stepped_trap_ns=run.calibration.stepped_trap_ns,
        ),
        warnings=(*run.warnings, *_loss_warnings(totals), *names.problems()),
        host=read_host(run.started_at),
        names=called,
    )


def _called(
    measurement: ObjectMeasurement,
    objects: Sequence[leaks.FollowedObject],
    types: Sequence[leaks.ObjectType],
    show_keys: bool,
) -> Iterator[leaks.TypeNames]:
    """Yield what living objects of each type are called; sizes make no other type here."""
    first: dict[tuple[int | None, int], int] = {}
    alive: dict[tuple[int | None, int], list[ObservedObject]] = defaultdict(list)
    for one, observed in zip(objects, measurement.histories.objects, strict=True):
        key = types[one.type].destructor, types[one.type].site
        first.setdefault(key, one.type)
        if one.fate is leaks.Fate.ALIVE:
            alive[key].append(observed)
    most = sorted(alive.items(), key=lambda item: -len(item[1]))
    for key, alike in most[:_NAMED_TYPES]:
        names = measurement.names(alike)
        if names:
            yield leaks.TypeNames(first[key], len(names), name_counts(names, show_keys))


def name_counts(names: Sequence[str], show_keys: bool) -> tuple[leaks.NameCount, ...]:
    """Return names and how many there are, or what they have in common without `show_keys`."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[name if show_keys else folded(name)].append(name)
    counts = [
        leaks.NameCount(name, len(each))
        for name, each in alike.items()
        if show_keys or len(set(each)) >= _ALIKE_MIN
    ]
    return tuple(sorted(counts, key=lambda one: (-one.count, one.name))[:_NAMES])


def _births(totals: Totals, followed: int) -> recording.Accounting:
    return recording.Accounting(
        fired=totals.births,
        kept=followed,
        filtered=totals.births_filtered,
        lost=totals.births_lost,
    )


def _loss_warnings(totals: Totals) -> Iterator[str]:
    if totals.births_lost:
        yield f"{totals.births_lost:,} objects could not be followed: no room, or not allocated"
    if totals.links_lost:
        yield f"{totals.links_lost:,} links were not counted: too many containers or places"


class _Index:
    """Indexes of frames, stacks, places and types, made as they are needed."""

    def __init__(self, measurement: ObjectMeasurement, names: NamingSession) -> None:
        self._measurement = measurement
        self._texts = measurement.texts
        self._windows = measurement.all.windows
        self.frames = StackIndex(
            measurement.stacks, names.path, names.kernel_function, kernel=False, user=True
        )
        self.sites = CallSites(names, None)
        self.types: dict[leaks.ObjectType, int] = {}

    def object(self, observed: ObservedObject) -> leaks.FollowedObject:
        """Return an object with its history."""
        birth = observed.ordered()[0]
        return leaks.FollowedObject(
            type=self._type(birth.container, birth, birth.size),
            address=observed.address,
            born_ns=observed.born_ns,
            tid=birth.tid,
            stack=self._stack(birth),
            fate=observed.fate,
            ended_ns=observed.ended_ns,
            is_end_exact=observed.is_end_exact,
            references=observed.references,
            lost_changes=lost_changes(observed, self._windows),
            history=tuple(self._change(step) for step in steps(observed, self._windows)),
        )

    def birth_count(self, key: ObjectTypeKey, born: int) -> leaks.BirthCount:
        """Return how many objects of a type were born."""
        return leaks.BirthCount(self._type(key.destructor, key, key.size), born)

    def link_count(self, link: ObjectLink, count: int) -> leaks.LinkCount:
        """Return how often one place linked or unlinked."""
        kind = _KINDS[ObjectPlace(link.place)]
        return leaks.LinkCount(kind, link.container, self._site(link), count)

    def containers(self) -> Iterator[leaks.WatchedContainer]:
        """Yield the containers that objects were linked into."""
        for found in self._measurement.sizes.containers:
            state = found.state
            kind = _CONTAINER_KINDS[state.layout.kind]
            yield leaks.WatchedContainer(
                address=found.address,
                kind="list" if kind == "hash" and state.buckets == 1 else kind,
                comparator=self._frame(state.comparator),
                hash_function=self._frame(state.hash_function),
                elements=tuple(found.sizes),
            )

    def _frame(self, address: int | None) -> int | None:
        return self.frames.frame(address) if address else None

    def _change(self, step: Step) -> leaks.Change:
        event = step.event
        if event is None:
            return leaks.Change(
                step.time_ns, ChangeKind.GAP, step.delta, step.before, None, None, 0
            )
        return leaks.Change(
            time_ns=step.time_ns,
            kind=_KINDS[ObjectPlace(event.place)],
            delta=step.delta,
            before=step.before,
            site=self._site(event, event.caller),
            stack=self._stack(event),
            tid=event.tid,
            container=event.container or None,
        )

    def _stack(self, event: ObjectEvent) -> int | None:
        name = event.stack_name
        return None if name is None else self.frames.stack(name, is_leaf=False)

    def _type(self, destructor: int, place: ObjectEvent | ObjectTypeKey, size_bytes: int) -> int:
        made = leaks.ObjectType(self._frame(destructor), self._site(place), size_bytes)
        return self.types.setdefault(made, len(self.types))

    def _site(self, place: ObjectEvent | ObjectTypeKey | ObjectLink, caller: int = 0) -> int:
        """Return the index of a place; of its caller where `__ao2_cleanup` gave only its own."""
        function = self._texts.get(place.function) or f"{place.function:#x}"
        if caller and (function == _CLEANUP or not place.file):
            return self.sites.index(self.sites.of_caller(caller))
        site = recording.CallSite(self._texts.get(place.file), place.line, function)
        return self.sites.index(site)
