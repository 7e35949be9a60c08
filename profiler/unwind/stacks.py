"""The stacks that the kernel has unwound, each kept once, in little memory.

The programs send a stack's addresses once, and again only when they have forgotten that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Set

from profiler.model.observed import UnwindStack
from profiler.wire.unwind import STACK_HEAD, STACK_NAME_BYTES


class UnwoundStacks(Mapping[int, UnwindStack]):
    """Stacks by name; the same frame is in most of them, so each holds numbers of addresses."""

    def __init__(self) -> None:
        self._packed: dict[int, bytes] = {}  # cause, kernel frames, then numbers of addresses
        self._numbers: dict[int, int] = {}  # by address
        self._addresses = array("Q")

    def add(self, name: int, record: bytes) -> None:
        """Keep the stack of a record, unless its addresses came with an earlier one only."""
        *_, count, kernel_count, cause = STACK_HEAD.unpack_from(record)
        addresses = memoryview(record)[STACK_HEAD.size :].cast("Q").tolist()
        if len(addresses) != count + kernel_count:
            return
        numbers = map(self._number, addresses)
        self._packed[name] = array("I", (cause, kernel_count, *numbers)).tobytes()

    def _number(self, address: int) -> int:
        number = self._numbers.get(address)
        if number is None:
            number = self._numbers[address] = len(self._addresses)
            self._addresses.append(address)
        return number

    def keep_only(self, names: Set[int]) -> None:
        """Forget all others."""
        self._packed = {name: packed for name, packed in self._packed.items() if name in names}

    def cause(self, name: int) -> int:
        """Return why a stack ended, without the work to unpack it."""
        return memoryview(self._packed[name]).cast("I")[0]

    def __getitem__(self, name: int) -> UnwindStack:
        cause, kernel_count, *numbers = memoryview(self._packed[name]).cast("I").tolist()
        addresses = tuple(map(self._addresses.__getitem__, numbers))
        count = len(addresses) - kernel_count
        return UnwindStack(cause, addresses[:count], addresses[count:])

    def __contains__(self, name: object) -> bool:
        return name in self._packed

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def stack_name(record: bytes) -> int:
    """Return what names the stack of a record of the ring unwind_stacks."""
    return int.from_bytes(record[:STACK_NAME_BYTES], "little")
