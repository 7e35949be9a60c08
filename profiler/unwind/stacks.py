"""The stacks that the kernel has unwound, each kept once, in little memory.

The programs send a stack's addresses once, and again only when they have forgotten that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence, Set

from profiler.model.observed import UnwindStack
from profiler.wire.unwind import MAX_FRAMES, ROOT_FRAMES, STACK_HEAD, STACK_NAME_BYTES


class UnwoundStacks(Mapping[int, UnwindStack]):
    """Stacks by name; the same frame is in most of them, so each holds numbers of addresses."""

    def __init__(self) -> None:
        # Cause, kernel frames, user frames left out, then numbers of addresses.
        self._packed: dict[int, bytes] = {}
        self._forget_addresses()

    def _forget_addresses(self) -> None:
        self._numbers: dict[int, int] = {}  # by address
        self._addresses = array("Q")

    def add(self, name: int, record: bytes) -> None:
        """Keep the stack of a record, unless its addresses came with an earlier one only."""
        *_, count, kernel_count, cause, depth, _ = STACK_HEAD.unpack_from(record)
        addresses = memoryview(record)[STACK_HEAD.size :].cast("Q").tolist()
        if len(addresses) != count + kernel_count:
            return
        addresses[:count] = _in_order(addresses[:count], depth)
        self._pack(name, (cause, kernel_count, max(0, depth - MAX_FRAMES)), addresses)

    def _pack(self, name: int, head: Sequence[int], addresses: Sequence[int]) -> None:
        numbers = map(self._number, addresses)
        self._packed[name] = array("I", (*head, *numbers)).tobytes()

    def _number(self, address: int) -> int:
        number = self._numbers.get(address)
        if number is None:
            number = self._numbers[address] = len(self._addresses)
            self._addresses.append(address)
        return number

    def keep_only(self, names: Set[int]) -> None:
        """Forget all others, and the addresses that only they have."""
        packed, self._packed = self._packed, {}
        addresses = self._addresses
        self._forget_addresses()
        for name in filter(names.__contains__, packed):
            head, numbers = _unpacked(packed[name])
            self._pack(name, head, [addresses[number] for number in numbers])

    @property
    def address_count(self) -> int:
        """Number of different addresses in all stacks."""
        return len(self._addresses)

    def cause(self, name: int) -> int:
        """Return why a stack ended, without the work to unpack it."""
        return memoryview(self._packed[name]).cast("I")[0]

    def __getitem__(self, name: int) -> UnwindStack:
        (cause, kernel_count, left_out), numbers = _unpacked(self._packed[name])
        addresses = tuple(map(self._addresses.__getitem__, numbers))
        count = len(addresses) - kernel_count
        return UnwindStack(cause, addresses[:count], addresses[count:], left_out)

    def __contains__(self, name: object) -> bool:
        return name in self._packed

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def _unpacked(packed: bytes) -> tuple[list[int], list[int]]:
    """Return the three words of the head, and the numbers of addresses."""
    words = memoryview(packed).cast("I").tolist()
    return words[:3], words[3:]


def _in_order(frames: Sequence[int], depth: int) -> Sequence[int]:
    """Return user frames leaf first, where the last of a deep stack are in a ring."""
    if depth <= MAX_FRAMES:
        return frames
    leaf, ring = frames[:-ROOT_FRAMES], frames[-ROOT_FRAMES:]
    oldest = depth % ROOT_FRAMES
    return [*leaf, *ring[oldest:], *ring[:oldest]]


def stack_name(record: bytes) -> int:
    """Return what names the stack of a record of the ring unwind_stacks."""
    return int.from_bytes(record[:STACK_NAME_BYTES], "little")
