"""Finds the container operations that sampled stacks pass through, and where they were called from.

Each sample counts for one operation: the innermost whose call does not lie in Asterisk's own
container code (main/astobj2*.c). What a callback does inside an operation counts for that one,
unless it is an operation again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiler.asterisk.container_calls import (
    NamedCall,
    SourcePlace,
    operation_name,
    passes_place,
)
from profiler.model import recording as rec
from profiler.names.session import NamingSession
from profiler.record.call_sites import CallSites
from profiler.record.stacks import StackIndex

_CONTAINER_CODE = "astobj2"  # begins the names of the files that containers are made of
_NOWHERE = SourcePlace(None, None, None)


@dataclass(frozen=True, slots=True)
class _Found:
    """An operation on a stack: its name, and the return address of the call that began it."""

    name: str
    return_address: int
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
        self._calls: dict[int, NamedCall | None] = {}
        self._places: dict[int, SourcePlace] = {}
        self._functions: dict[int, str | None] = {}
        by_stack: dict[int, list[int]] = {}
        for sample in samples:
            by_stack.setdefault(sample.stack, []).append(sample.time_ns)
        times: dict[rec.CallSite, list[int]] = {}
        found: dict[tuple[str, int, int], list[int]] = {}
        addresses = tuple(frames.addresses)
        for stack in sorted(by_stack):
            operation = self._on(_return_addresses(frames.stacks[stack], addresses))
            if operation is None:
                continue
            site = sites.of_call(operation.return_address, operation.place)
            times.setdefault(site, []).extend(by_stack[stack])
            call = frames.frame(operation.return_address - 1)
            found.setdefault((operation.name, sites.index(site), call), []).append(stack)
        self.recorded = tuple(rec.Operation(*key, tuple(at)) for key, at in found.items())
        self._times = {site: tuple(sorted(at)) for site, at in times.items()}

    def sample_times(self, site: rec.CallSite) -> tuple[int, ...]:
        """Return when samples were inside operations that were called from a place, ascending."""
        return self._times.get(site, ())

    def _on(self, stack: Sequence[int]) -> _Found | None:
        """Return the operation on a stack: the leaf's address, then return addresses."""
        inner: _Found | None = None  # one whose call says less than one farther out may
        awaited: str | None = None  # the function that has its place from its caller
        for below, address in zip(stack, stack[1:], strict=False):
            call = self._call(address)
            callee = call.callee if call is not None else None
            name = operation_name(callee)
            if awaited is not None and callee != awaited:
                return inner
            if name is None and awaited is None:
                name = self._jumped_to(below, callee)
                if name is None:
                    continue
                place = SourcePlace(None, None, callee)
            else:
                place = self._place(address, call)
            inner = _Found(name or (inner.name if inner else ""), address, place)
            caller = self._function(address - 1)
            is_inside = (place.file or "").rpartition("/")[2].startswith(_CONTAINER_CODE)
            if is_inside or operation_name(caller) is not None:
                awaited = None
            elif place == _NOWHERE and passes_place(caller):
                awaited = caller
            else:
                return inner
        return inner

    def _call(self, return_address: int) -> NamedCall | None:
        if return_address not in self._calls:
            calls, offset = self._names.calls_at(return_address - 1) or (None, 0)
            self._calls[return_address] = calls.before(offset + 1) if calls else None
        return self._calls[return_address]

    def _place(self, return_address: int, call: NamedCall | None) -> SourcePlace:
        if return_address not in self._places:
            calls, _ = self._names.calls_at(return_address - 1) or (None, 0)
            place = calls.place(call) if calls is not None and call is not None else _NOWHERE
            self._places[return_address] = place
        return self._places[return_address]

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


def _return_addresses(stack: rec.Stack, addresses: Sequence[int]) -> list[int]:
    """Return the leaf's address in user space, then the return addresses of its callers."""
    user = [addresses[frame] for frame in stack.frames[stack.kernel_count :]]
    return [*user[:1], *(address + 1 for address in user[1:])]
