"""Looks names up while the recording runs, so that few are left for its end."""

from __future__ import annotations

import time
from collections.abc import Iterator

from profiler.measure.sampler import CpuSampler
from profiler.names.session import NamingSession
from profiler.record.stacks import inside_calls

STEP_NS = 10_000_000  # a name that is begun is finished; the first one of a file may take longer


class EarlyNames:
    """Names the functions in the stacks of samples, step by step.

    The session keeps what it has found out. At the end it is asked for all names, as it would be
    without this, and has less to do.
    """

    def __init__(self, sampler: CpuSampler, names: NamingSession) -> None:
        self._sampler = sampler
        self._names = names
        self._position = 0  # in the samples
        self._stacks: set[int] = set()  # keys that were looked at
        self._addresses: set[int] = set()
        self._waiting: list[int] = []

    def step(self) -> None:
        """Name functions for about STEP_NS, if there are new ones."""
        end_ns = time.monotonic_ns() + STEP_NS
        for address in self._next():
            self._names.look_up(address)
            if time.monotonic_ns() >= end_ns:
                return

    def _next(self) -> Iterator[int]:
        """Yield addresses that come in the stacks of samples, each once."""
        samples = self._sampler.samples.kept
        self._position = min(self._position, len(samples))  # some may have been dropped
        while self._waiting or self._position < len(samples):
            if self._waiting:
                yield self._waiting.pop()
            else:
                self._waiting = self._new_addresses(samples[self._position][1])
                self._position += 1

    def _new_addresses(self, key: int) -> list[int]:
        if key in self._stacks:
            return []
        self._stacks.add(key)
        stack = self._sampler.stack(key)
        new = set(inside_calls(stack.frames, True)) - self._addresses if stack else set()
        self._addresses |= new
        return sorted(new)
