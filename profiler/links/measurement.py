"""Links of one run: watches containers once they grow, and says who linked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from profiler.binary.probe_sites import Site
from profiler.links.programs import LinkPrograms
from profiler.links.windows import LinkWindows
from profiler.linux.module import BpfModule
from profiler.model.lasting_growth import lasting_growth
from profiler.model.links import ObservedLinks
from profiler.model.observed import Calibration
from profiler.model.quantities import Accounting
from profiler.process.target import TargetProcess
from profiler.windows.budget import Governor

_LOOK_NS = 3_000_000_000
_LEAST_GROWTH = 10
Sizes = Sequence[tuple[int, int]]  # (when, elements)


class LinkMeasurement:
    """What the recorder calls; raises KernelError or OSError where programs cannot be loaded."""

    def __init__(
        self,
        stack: ExitStack,
        base: BpfModule,
        site: Site,
        path: str,
        target: TargetProcess,
        governor: Governor,
        calibration: Calibration,
        sizes: Callable[[], Iterable[tuple[int, Sizes]]],
    ) -> None:
        """`sizes`: address of each container, and its sizes over time."""
        self._programs = LinkPrograms(stack, base, site, path)
        self._windows = LinkWindows(self._programs, target, governor, calibration)
        self._sizes = sizes
        self._next_look_ns = 0
        stack.callback(self._windows.abort)

    @property
    def wake_descriptor(self) -> int:
        """Becomes readable when a window has to be closed: call step() then."""
        return self._programs.wake_descriptor

    def step(self, now_ns: int) -> int:
        """Watch what grows, open or close the window; return when to call again."""
        if now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + _LOOK_NS
            self._windows.watch({address for address, one in self._sizes() if _grows(one)})
        return min(self._windows.step(now_ns), self._next_look_ns)

    def finish(self) -> ObservedLinks:
        """Take the probe away; return what was seen."""
        self._windows.close()
        state = self._programs.state()
        counts = [(link.container, link.name, count) for link, count in self._programs.counts()]
        return ObservedLinks(
            counts=tuple(sorted(counts, key=lambda count: -count[2])),
            covered_ns=self._windows.covered_ns,
            accounting=Accounting(
                fired=state.events,
                kept=state.events - state.others - state.refused - state.lost,
                filtered=state.others + state.refused,
                lost=state.lost,
            ),
            problem=self._windows.problem,
        )


def _grows(sizes: Sizes) -> bool:
    is_more = bool(sizes) and sizes[-1][1] - sizes[0][1] >= _LEAST_GROWTH
    return is_more and lasting_growth(sizes) is not None
