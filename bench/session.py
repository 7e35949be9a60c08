"""The profiler on a target, switched on and off many times in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

from profiler.asterisk.find import FoundTarget, find_asterisk
from profiler.model.recording import Recording
from profiler.record import recorder
from profiler.record.preparation.run import Run
from profiler.record.preparation.sampling import Options
from profiler.record.progress import Progress, Stop
from profiler.sampling.sampling_programs import compile_sampling


def _ignore(progress: Progress) -> None:
    return None


def _begin(stack: ExitStack, target: FoundTarget, options: Options) -> Run:
    compilation = compile_sampling(options.kernel_frames)
    stack.callback(compilation.close)
    return recorder.begin(stack, target, options, compilation)


class Session:
    """A prepared recording whose probes and samples can be taken away and come back."""

    def __init__(self, pid: int, options: Options) -> None:
        self._stack = ExitStack()
        self.run = _begin(self._stack, find_asterisk(pid), options)
        if options.lookups:
            recorder.begin_lookups(self._stack, self.run, find_asterisk(pid), options)
        self.run.sampler.detach()

    def on(self, seconds: float) -> None:
        """Profile for a while, then take everything away."""
        governor = self.run.governor
        # Begin as a run does: nothing was saved for windows, not while it was off either.
        governor._level_ns = min(governor.level_ns(time.monotonic_ns()), 0.0)
        self.run.sampler.attach()
        self.run.start_ns = time.monotonic_ns()
        self.run.until_ns = self.run.start_ns + round(seconds * 1e9)
        recorder.run_until_end(self.run, Stop(), _ignore)
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


def recorded(
    pid: int, options: Options, at_begin: Callable[[], None], at_end: Callable[[], None]
) -> Recording:
    """Return a recording; the callbacks run at the ends of what it is about."""
    target = find_asterisk(pid)
    with ExitStack() as stack:
        run = _begin(stack, target, options)
        at_begin()
        if options.lookups:
            recorder.begin_lookups(stack, run, target, options)
        recorder.run_until_end(run, Stop(), _ignore)
        at_end()
        return recorder.finish(run, target, options)
