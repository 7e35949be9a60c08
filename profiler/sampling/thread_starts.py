"""What threads of the target were started to run, also those of which there will be no sample.

Births say it of threads that are born meanwhile, and stacks of those that were there before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from profiler.process.threads.present_threads import PresentThreads
from profiler.process.threads.thread_births import ThreadBirths
from profiler.unwind.beginnings import Beginnings

# Frames that are kept. Before main() are two or three of the C library; before what a thread of
# Asterisk is for are two, and dummy_start().
_MOST_FRAMES = 6
_ENOUGH_FRAMES = 2  # less is a start routine, which may only be dummy_start()
# Frames are read one by one, of perhaps 20,000 threads, while recording waits to begin or to end.
_MOST_NS = 500_000_000


class ThreadStarts:
    """Follows one target: begin(), observe() now and then, end().

    Without `births` or `present` what they would say is not known.
    """

    def __init__(
        self, births: ThreadBirths | None, present: PresentThreads | None, beginnings: Beginnings
    ) -> None:
        self._births = births
        self._present = present
        self._beginnings = beginnings
        self._found: dict[int, tuple[int, ...]] = {}

    def cost_ns(self) -> int:
        """Return what the program took that notes births."""
        return 0 if self._births is None else self._births.cost_ns()

    def begin(self) -> None:
        """Look at all threads that there are, as far as there is time."""
        until_ns = time.monotonic_ns() + _MOST_NS
        for thread in () if self._present is None else self._present.read():
            if time.monotonic_ns() >= until_ns:
                return
            known = self._found.get(thread.tid, ())
            if len(known) < _ENOUGH_FRAMES:
                frames = self._beginnings.of(thread, _MOST_FRAMES)
                self._found[thread.tid] = frames if len(frames) > len(known) else known

    def observe(self) -> None:
        """Take note of births. A tid that is used again is the new thread's."""
        if self._births is not None:
            self._found.update(self._births.read())

    def end(self) -> Mapping[int, tuple[int, ...]]:
        """Return the frames that each thread began in, by tid, outermost first."""
        self.observe()
        self.begin()  # more is known of those that ran at the beginning and sleep now
        return self._found
