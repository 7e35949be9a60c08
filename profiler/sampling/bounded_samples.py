"""Bounds what a recording keeps of its samples, however long it lasts. Pure."""

from __future__ import annotations

import random

# On the target's machine. A sample needs about 500 bytes until all files are written: measured.
SAMPLES_MAX = 1_000_000


class BoundedSamples:
    """Samples, each kept with the same chance: 1 until there are too many, then halved again.

    At random, since threads may alternate: every second one could be all of one thread.
    """

    def __init__(self, most: int = SAMPLES_MAX) -> None:
        self.kept: list[tuple[int, int, int]] = []  # (time_ns, stack's name, tid)
        self.seen = 0
        self.one_in = 1
        self._most = most
        self._random = random.Random(0)

    def add(self, time_ns: int, stack: int, tid: int) -> None:
        """Take note of one more sample."""
        self.seen += 1
        if not self._is_drawn(self.one_in):
            return
        self.kept.append((time_ns, stack, tid))
        while len(self.kept) > self._most:
            self.one_in *= 2
            self.kept = [sample for sample in self.kept if self._is_drawn(2)]

    def _is_drawn(self, one_in: int) -> bool:
        return one_in == 1 or self._random.random() * one_in < 1
