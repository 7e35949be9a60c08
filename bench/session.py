"""The profiler on a target, switched on and off many times in one run."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType

from profiler import recorder
from profiler.preparation import Options
from profiler.recorder import Progress, Stop
from profiler.target import find_asterisk


def _ignore(progress: Progress) -> None:
    return None


class Session:
    """A prepared recording whose probes and samples can be taken away and come back."""

    def __init__(self, pid: int, budget_ratio: float | None, sampling: bool = True) -> None:
        self._stack = ExitStack()
        self._options = Options(duration_ns=1 << 62, budget_ratio=budget_ratio)
        self._sampling = sampling
        self.run = recorder._prepare(self._stack, find_asterisk(pid), self._options)
        self.run.sampler.detach()

    def on(self, seconds: float) -> None:
        """Profile for a while, then take everything away."""
        if self._sampling:
            self.run.sampler.attach()
        self.run.start_ns = time.monotonic_ns()
        options = Options(round(seconds * 1e9), budget_ratio=self._options.budget_ratio)
        recorder._run_loop(self.run, options, Stop(), _ignore)
        if self.run.lookups is not None:
            self.run.lookups.finish()
        self.run.sampler.detach()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
