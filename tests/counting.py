"""Measures every lookup of a process by the profiler's programs, without budget or windows."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from profiler.counting.discovery import Discovery
from profiler.counting.lookup_counters import LookupCounters
from profiler.counting.thread_states import ThreadStates
from profiler.probes.attach import UprobePrograms, Variant, load_programs, variants_here
from profiler.probes.planner import ProbePlan, ProbePlanner
from profiler.process.target import TargetProcess
from profiler.wire.lookups import (
    NO_WINDOW,
    Control,
    Group,
    GroupKey,
    HistogramKey,
    LookupCounter,
    Metric,
    Place,
    TraversalFrame,
    Verdict,
    WindowState,
    place_of,
    slot_range,
)
from tests.programs import ROOM, sampling_module

_ZERO = struct.pack("<I", 0)
FOREVER = 1 << 62
OPEN = Control(1, FOREVER, FOREVER, FOREVER, 700, 1500, 1200, 350, 70, 8000, 0, 1, False)
PREDICTED_RETURN_SHARE = 3


def slot_of(value: int) -> int:
    """Return the histogram slot that holds a value, found by searching."""
    low, high = 0, 4096
    while low < high:
        middle = (low + high) // 2
        if slot_range(middle)[1] <= value:
            low = middle + 1
        else:
            high = middle
    return low


def in_slots(histogram: Mapping[int, int]) -> dict[int, int]:
    """Return the histogram of exact values as the kernel's slots hold it."""
    slots: Counter[int] = Counter()
    for value, count in histogram.items():
        slots[slot_of(value)] += count
    return dict(slots)


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted for some groups together; histograms by slot."""

    verdicts: Mapping[Verdict, int]
    hits: int
    misses: int
    comparisons: int
    sort_calls: int
    comparison_slots: Mapping[int, int]
    sort_slots: Mapping[int, int]
    agreed: int
    disagreed: int

    @property
    def lookups(self) -> int:
        return sum(self.verdicts.values())

    @property
    def verified(self) -> int:
        return self.verdicts.get(Verdict.VERIFIED, 0)


class Counting:
    """The programs on one process, with a window that is open as long as the block is entered.

    `variant`: the best that the kernel has, unless another is wanted.
    `predicts`: once it is known where traversals have their frames, do without the probes on
    traverse_first, and without some of the returns. `room`: entries of maps, by name.
    """

    def __init__(
        self,
        pid: int,
        variant: Variant | None = None,
        change_plan: Callable[[ProbePlanner], ProbePlan] = ProbePlanner.plan,
        predicts: bool = False,
        room: Mapping[str, int] = ROOM,
        **definitions: int,
    ) -> None:
        self.predicts = predicts
        target = TargetProcess.open(pid, start_ticks=0)
        self.code = target.code
        self.code.refresh()
        self.planner = ProbePlanner(self.code)
        self.plan = change_plan(self.planner)
        self.pid = pid
        self._stack = ExitStack()
        self.base = self._stack.enter_context(sampling_module(pid, room, **definitions))
        macros = {**self.plan.definitions(), **definitions}
        self.programs: UprobePrograms = load_programs(
            self.base, macros, [variant or variants_here()[0]]
        )
        self._stack.callback(self.programs.close)
        code = self.plan.traversal_code().encode()
        self.programs.module.map("traversal_code").set(bytes(4), code)
        self._stack.callback(self.close)
        self.discovery = Discovery(self.programs.module, self.planner, target)
        self._window = 0

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def open(self, control: Control = OPEN) -> None:
        """Place the probes and admit lookups, in a window of its own."""
        threads = ThreadStates(self.programs.module)
        if threads.are_scarce:  # every run of the lab's module has new ones
            threads.clear()
        self._window += 1
        self._control(replace(control, window=0))
        planned = (*self.plan.probes, *self.discovery.comparisons.values())
        probes = [probe.point for probe in planned]
        if control.predicts:
            probes = [p for p in probes if place_of(p.cookie) != Place.TRAVERSAL_FIRST]
        self.programs.attach(probes, self.pid)
        self.discovery.placed()
        self._control(replace(control, window=self._window))

    @contextmanager
    def opened(self) -> Iterator[Counting]:
        """Measure from here to the end of the block."""
        self.open()
        try:
            yield self
        finally:
            self.close()

    def predict(self) -> None:
        """Go on without the probes on traverse_first."""
        for entry in range(Place.TRAVERSAL_FIRST):
            frame = self.programs.module.map("traversal_frames").get(struct.pack("<I", entry))
            assert frame is not None and not TraversalFrame.decode(frame).differed
        self.close()
        self.open(replace(OPEN, return_share=PREDICTED_RETURN_SHARE, predicts=True))

    def close(self) -> None:
        """Admit no more, wait for those in flight, and take the probes away."""
        if not self.programs.attached:
            return
        self._control(replace(OPEN, window=self._window, admit_until_ns=0))
        deadline = time.monotonic() + 10
        while self.in_flight() and time.monotonic() < deadline:
            time.sleep(0.002)
        self._control(replace(OPEN, window=0))
        self.programs.detach()
        left = self.in_flight()
        if left:
            LookupCounters(self.programs.module).add_unfinished(left)
            self.programs.module.map("window_state").set(_ZERO, NO_WINDOW.encode())

    def in_flight(self) -> int:
        state = self.programs.module.map("window_state").get(_ZERO)
        assert state is not None
        return WindowState.decode(state).in_flight

    def learn(self) -> None:
        """Learn the containers and functions that were met; probes are placed anew if need be."""
        self.code.refresh()
        if self.discovery.look():
            self.close()
            self.open()

    def _control(self, control: Control) -> None:
        self.programs.module.map("control").set(_ZERO, control.encode())

    def counters(self) -> dict[LookupCounter, int]:
        return LookupCounters(self.programs.module).read()

    def check_accounting(self) -> dict[LookupCounter, int]:
        """Assert that every entry went somewhere; call it when the probes are gone."""
        counters = self.counters()
        gone = sum(
            count
            for counter, count in counters.items()
            if LookupCounter.FIRED < counter < LookupCounter.STACKLESS
        )
        assert counters[LookupCounter.FIRED] == gone
        return counters

    def clear(self) -> None:
        """Forget all groups and histograms."""
        for name in ("groups", "histograms"):
            self.programs.module.map(name).clear()

    def groups(self) -> Iterator[tuple[GroupKey, Group]]:
        for key, value in self.programs.module.map("groups").items():
            yield GroupKey.decode(key), Group.decode(value)

    def count(self, container: int, line: int | None = None, entry: int | None = None) -> Count:
        """Return the sum over a container's groups, of one call site if `line` is given."""
        groups = [
            group
            for key, group in self.groups()
            if key.container == container
            and line in (None, key.line)
            and entry in (None, key.entry)
        ]
        ids = {group.id for group in groups}
        assert len(ids) == len(groups)
        slots: dict[int, Counter[int]] = {metric: Counter() for metric in Metric}
        for key, value in self.programs.module.map("histograms").items():
            histogram = HistogramKey.decode(key)
            if histogram.group in ids:
                slots[histogram.metric][histogram.slot] += int.from_bytes(value, "little")
        verdicts: Counter[Verdict] = Counter()
        for group in groups:
            verdicts.update({v: group.verdicts[v] for v in Verdict if group.verdicts[v]})
        return Count(
            dict(verdicts),
            sum(group.hits for group in groups),
            sum(group.misses for group in groups),
            sum(group.comparisons_total for group in groups),
            sum(group.sort_calls_total for group in groups),
            dict(slots[Metric.COMPARISONS]),
            dict(slots[Metric.SORT_CALLS]),
            sum(group.agreed for group in groups),
            sum(group.disagreed for group in groups),
        )
