"""Follows objects of a target: opens and closes the stretches, and looks at what still lives.

Where nobody watches objects end, one of the same type may come to the address of one that is gone.
So their content is kept before, and compared afterwards (survivors.py).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from profiler.leaks.containers import ContainerSizes
from profiler.leaks.histories import Histories, ObservedObject
from profiler.leaks.object_names import object_names
from profiler.leaks.plan import ObjectPlan
from profiler.leaks.programs import ObjectPrograms
from profiler.leaks.quota import Quota
from profiler.leaks.stretches import Stretch
from profiler.leaks.survivors import State, look
from profiler.linux.realtime import RealtimePriority
from profiler.model.leaks import Fate
from profiler.model.observed import Calibration
from profiler.process.target import TargetProcess
from profiler.unwind.stacks import UnwoundStacks, stack_name
from profiler.windows.budget import Governor
from profiler.wire.leaks import (
    FollowedRecord,
    ObjectBirths,
    ObjectEvent,
    ObjectLink,
    ObjectTypeKey,
    ObjectWatch,
)

_ROUND_NS = 1_000_000_000
_LOOK_NS = 1_000_000_000
_SIZES_NS = 2_000_000_000
_DRAIN_NS = 100_000_000
_FREES_SHARE = 0.3
# A stretch in which all is watched waits until so much of its bucket is full; the first need not,
# so that a short run has one.
_FULL, _FIRST_FULL, _BIRTHS_FULL = 0.9, 0.3, 0.45


@dataclass(frozen=True, slots=True)
class Totals:
    """What the programs counted in all."""

    births: int
    births_filtered: int
    births_lost: int
    changes: int
    changes_lost: int
    links_lost: int


class ObjectMeasurement:
    """Objects followed within a budget."""

    def __init__(
        self,
        programs: ObjectPrograms,
        plan: ObjectPlan,
        target: TargetProcess,
        calibration: Calibration,
        governor: Governor,
        until_ns: int,
    ) -> None:
        self._module = module = programs.module
        self._target = target
        self._governor = governor
        self._until_ns = until_ns
        self._start_ns = time.monotonic_ns()
        self._events = module.ring_buffer("object_events")
        self._stops = module.ring_buffer("object_stops")
        self._stack_ring = module.ring_buffer("unwind_stacks")
        self._priority = RealtimePriority()
        self.frees = Stretch(
            ObjectWatch.FREES,
            programs,
            plan.frees,
            target,
            calibration,
            governor,
            governor.share(_FREES_SHARE),
            self._priority,
        )
        self.all = Stretch(
            ObjectWatch.ALL,
            programs,
            plan.all,
            target,
            calibration,
            governor,
            governor,
            self._priority,
        )
        depth_ns = governor.depth_ns
        self.all.least_level_ns = depth_ns * _FIRST_FULL
        self.all.birth_level_ns = depth_ns * _FIRST_FULL * _BIRTHS_FULL
        for stretch, other in ((self.all, self.frees), (self.frees, self.all)):
            stretch.before_close = partial(self._keep_contents, other)
            stretch.after_open = partial(self._compare_contents, other)
        self.histories = Histories()
        self.stacks = UnwoundStacks()
        self.sizes = ContainerSizes(target)
        self.texts: dict[int, str] = {}
        self._quota = Quota()
        self._round_ns = 0
        self._next_look_ns = self._next_sizes_ns = 0
        self._begin_round(self._start_ns)

    @property
    def wake_descriptor(self) -> int:
        """Becomes readable when a stretch has to be closed: call step() then."""
        return self._module.map("object_stops").descriptor

    def step(self, now_ns: int) -> int:
        """Do what is due; return when to call again. Raises OSError."""
        self._stops.drain()
        next_ns = min(self.frees.step(now_ns), self._step_all(now_ns))
        if not (self.frees.is_young(now_ns) or self.all.is_young(now_ns)):
            self._priority.end()
        self.drain()
        if now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + _LOOK_NS
            self._look(self.histories.alive)
        if now_ns >= self._next_sizes_ns:
            self._next_sizes_ns = now_ns + _SIZES_NS
            self._look_at_containers(now_ns)
        return min(next_ns, now_ns + _DRAIN_NS, self._next_look_ns)

    def _step_all(self, now_ns: int) -> int:
        was_open = self.all.is_open
        if now_ns - self._round_ns >= _ROUND_NS or not was_open:
            self._begin_round(now_ns)
        next_ns = self.all.step(now_ns)
        if was_open and not self.all.is_open:
            depth_ns = self._governor.depth_ns
            self.all.least_level_ns = depth_ns * _FULL
            self.all.birth_level_ns = depth_ns * _BIRTHS_FULL
        return next_ns

    def _begin_round(self, now_ns: int) -> None:
        """Say how much is followed until the next round."""
        self._round_ns = now_ns
        gone_ratio = (now_ns - self._start_ns) / max(self._until_ns - self._start_ns, 1)
        histories = self.histories
        self._quota.begin_round(len(histories.objects), histories.changes, gone_ratio)
        self.all.round += 1
        self.all.birth_quota = self._quota.birth_quota
        self.all.max_changes = self._quota.max_changes

    # -- what the programs send ---------------------------------------------------------------

    def drain(self) -> None:
        """Take in what the programs sent."""
        for record in self._stack_ring.drain():
            self.stacks.add(stack_name(record), record)
        for record in self._events.drain():
            self.histories.add(record, self.all.since_ns)
            event = ObjectEvent.decode(record)
            self._read_text(event.file)
            self._read_text(event.function)

    def _read_text(self, address: int) -> None:
        """Read a string soon: the target may end, or unload the module."""
        if address and address not in self.texts:
            found = self._target.memory.text(address)
            if found is not None:
                self.texts[address] = found

    # -- what lives ---------------------------------------------------------------------------

    @property
    def _is_watched(self) -> bool:
        """Return whether every end is seen."""
        return self.all.is_open or self.frees.is_open

    def _keep_contents(self, other: Stretch) -> None:
        """Keep what objects hold before nobody watches any more."""
        if other.is_open:
            return
        self.drain()
        now_ns = time.monotonic_ns()
        for seen in look(self._target.memory, self.histories.alive):
            if seen.state is not State.GONE:
                seen.observed.references, seen.observed.ended_ns = seen.references, now_ns
                seen.observed.content = seen.content

    def _compare_contents(self, other: Stretch) -> None:
        """See what became of objects while nobody watched."""
        if not other.is_open:
            self._look(self.histories.alive)
            for observed in self.histories.alive:
                observed.content = None

    def _look(self, which: Iterable[ObservedObject]) -> None:
        """Look at some that are not known to have ended."""
        now_ns = time.monotonic_ns()
        seen = list(look(self._target.memory, which))
        self.drain()  # what a probe saw end is not gone unseen
        for found in seen:
            if found.observed.fate is not Fate.ALIVE:
                continue
            if found.state is State.ALIVE:
                found.observed.references = found.references
                found.observed.ended_ns = max(now_ns, found.observed.ended_ns)
            elif found.state is State.GONE or not self._is_watched:
                fate = Fate.FREED if found.state is State.GONE else Fate.LOST
                self._end(found.observed, fate, now_ns)

    def _end(self, observed: ObservedObject, fate: Fate, now_ns: int) -> None:
        key = struct.pack("<Q", observed.address)
        value = self._module.map("followed_objects").get(key)
        if value is not None and FollowedRecord.decode(value).id == observed.id:
            observed.changes_lost = FollowedRecord.decode(value).changes_lost
            self._module.map("followed_objects").delete(key)
        self.histories.end(observed, fate, now_ns, is_exact=False)

    def _look_at_containers(self, now_ns: int) -> None:
        for link, _ in self.links():
            self.sizes.note(link.container, now_ns)
            self._read_text(link.file)
            self._read_text(link.function)
        for key in self.births():
            self._read_text(key.file)
            self._read_text(key.function)
        self.sizes.look(now_ns)

    # -- the end ------------------------------------------------------------------------------

    def finish(self) -> None:
        """Take all probes away, and look for the last time."""
        self._look(self.histories.alive)
        self.all.close()
        self.frees.close()
        self._priority.end()
        self.drain()
        self._look(self.histories.changed)  # while the probes were taken away
        self._look_at_containers(time.monotonic_ns())
        self._read_losses()

    def abort(self) -> None:
        """Take all probes away."""
        self.all.abort()
        self.frees.abort()
        self._priority.end()

    def _read_losses(self) -> None:
        alive = {observed.id: observed for observed in self.histories.alive}
        for _, value in self._module.map("followed_objects").items():
            found = FollowedRecord.decode(value)
            if found.id in alive:
                alive[found.id].changes_lost = found.changes_lost

    def give_up_alive(self, now_ns: int) -> None:
        """Say of all that lived that it is not known what became of them: the target has ended."""
        for observed in self.histories.alive:
            self.histories.end(observed, Fate.LOST, now_ns, is_exact=False)

    def names(self, objects: Sequence[ObservedObject]) -> tuple[str, ...]:
        """Return what some of these living objects of one type are called."""
        return object_names(self._target.memory, objects)

    def births(self) -> dict[ObjectTypeKey, int]:
        """Return how many objects of each type were born."""
        items = self._module.map("object_types").items()
        return {ObjectTypeKey.decode(k): ObjectBirths.decode(v).born for k, v in items}

    def links(self) -> Iterable[tuple[ObjectLink, int]]:
        """Return how often something was linked or unlinked, by container and place."""
        for key, value in self._module.map("object_links").items():
            yield ObjectLink.decode(key), int.from_bytes(value, "little")

    def totals(self) -> Totals:
        """Return what was counted, once all probes are away."""
        every = self.all.state()
        # Allocations whose return came after the probes were gone.
        unfinished = sum(
            int.from_bytes(value[:8], "little") != 0
            for _, value in self._module.map("object_threads").items()
        )
        return Totals(
            births=every.births,
            births_filtered=every.births_filtered + unfinished,
            births_lost=every.births_lost,
            changes=every.changes,
            changes_lost=every.changes_lost,
            links_lost=every.links_lost,
        )
