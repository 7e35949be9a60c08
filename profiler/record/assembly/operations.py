"""Finds the container operations that sampled stacks pass through, and where they were called from.

Each sample counts for one operation: the innermost whose call does not lie in Asterisk's own
container code (main/astobj2*.c). What a callback does inside an operation counts for that one,
unless it is an operation again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiler.asterisk.container_calls import (
    UNKNOWN_PLACE,
    SourcePlace,
    operation_name,
    passes_place,
)
from profiler.model import recording as rec
from profiler.names.session import NamingSession
from profiler.record.assembly.call_sites import CallSites
from profiler.record.assembly.stacks import StackIndex


@dataclass(frozen=True, slots=True)
class _Found:
    """An operation on a stack: its name, and an address inside the call that began it."""

    name: str
    address: int
    place: SourcePlace


class SampledOperations:
    """The operations of all sampled stacks, by their call sites."""

    def __init__(
        self,
        samples: Iterable[rec.Sample],
        frames: StackIndex,
        sites: CallSites,
        names: NamingSession,
    ) -> None:
        """Look at the stacks of `samples`; frames and call sites get indexes as they are met."""
        self._names = names
        self._callees: dict[int, str | None] = {}  # in the following, by an address inside it
        self._functions: dict[int, str | None] = {}
        self._places: dict[int, SourcePlace] = {}
        by_stack: dict[int, list[int]] = {}
        for sample in samples:
            by_stack.setdefault(sample.stack, []).append(sample.time_ns)
        times: dict[rec.CallSite, list[int]] = {}
        found: dict[tuple[str, int, int], list[int]] = {}
        addresses = tuple(frames.addresses)
        for index in sorted(by_stack):
            stack = frames.stacks[index]
            user = [addresses[frame] for frame in stack.frames[stack.kernel_count :]]
            operation = self._on(user)
            if operation is None:
                continue
            site = sites.of_call(operation.address, operation.place)
            times.setdefault(site, []).extend(by_stack[index])
            call = frames.frame(operation.address)
            found.setdefault((operation.name, sites.index(site), call), []).append(index)
        self.recorded = tuple(rec.Operation(*key, tuple(at)) for key, at in found.items())
        self._times = {site: tuple(sorted(at)) for site, at in times.items()}

    def sample_times(self, site: rec.CallSite) -> tuple[int, ...]:
        """Return when samples were inside operations that were called from a place, ascending."""
        return self._times.get(site, ())

    def _on(self, stack: Sequence[int]) -> _Found | None:
        """Return the operation on a stack of addresses, leaf first, callers' inside the calls."""
        inner: _Found | None = None  # one whose call says less than one farther out may
        awaited: str | None = None  # the function that has its place from its caller
        for below, address in zip(stack, stack[1:], strict=False):
            callee = self._callee(address)
            if awaited is not None and callee != awaited:
                return inner
            name = operation_name(callee) or self._jumped_to(below, callee)
            if name is None and awaited is None:
                continue
            inner = _Found(name or (inner.name if inner else ""), address, self._place(address))
            caller = self._function(address)
            if inner.place.is_in_containers or operation_name(caller) is not None:
                awaited = None
            elif inner.place == UNKNOWN_PLACE and passes_place(caller):
                awaited = caller
            else:
                return inner
        return inner

    def _callee(self, address: int) -> str | None:
        """Return the name of the function that the call around an address calls."""
        if address not in self._callees:
            calls, offset = self._names.calls_at(address) or (None, 0)
            call = calls.before(offset + 1) if calls is not None else None
            self._callees[address] = call.callee if call is not None else None
        return self._callees[address]

    def _place(self, address: int) -> SourcePlace:
        """Return the source place that the call around an address hands over."""
        if address not in self._places:
            calls, offset = self._names.calls_at(address) or (None, 0)
            call = calls.before(offset + 1) if calls is not None else None
            found = calls.place(call) if calls is not None and call is not None else UNKNOWN_PLACE
            self._places[address] = found
        return self._places[address]

    def _function(self, address: int) -> str | None:
        """Return the exported name of the function that holds an address."""
        if address not in self._functions:
            calls, offset = self._names.calls_at(address) or (None, 0)
            self._functions[address] = calls.function(offset) if calls is not None else None
        return self._functions[address]

    def _jumped_to(self, address: int, callee: str | None) -> str | None:
        """Return the operation that an address lies in although another function was called."""
        function = self._function(address)
        return operation_name(function) if function != callee else None
