"""Looks at followed objects from outside: do they still live, and how many references have they?

Reading memory costs the target nothing. Where nobody watches objects end, an address may be used
again, also for an object of the same type. So the first bytes of each are kept before that: if
they are others later, it is not known what became of the object.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from profiler.asterisk.abi import MAGIC
from profiler.leaks.histories import ObservedObject
from profiler.process.memory import TargetMemory

# struct __priv_data ends where the object begins: destructor, weakptr, ref_counter, options and
# magic; with AO2_DEBUG a size lies behind the destructor. Asterisk 16.1 to 23.
_HEADER = struct.Struct("<QQQiI")
_CONTENT_BYTES = 64
_LIVE = (MAGIC, MAGIC - 1)  # the second of what stands for another object (AO2_WEAK)


class State(Enum):
    """What is at the address of a followed object."""

    ALIVE = "alive"
    GONE = "gone"
    UNSURE = "unsure"  # such an object, but its content has changed: it may be another


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of an object at one look."""

    observed: ObservedObject
    state: State
    references: int
    content: bytes


def look(memory: TargetMemory, objects: Iterable[ObservedObject]) -> Iterator[Look]:
    """Yield what is at the addresses of objects now."""
    wanted = list(objects)
    addresses = [observed.address - _HEADER.size for observed in wanted]
    found = memory.read_many(addresses, _HEADER.size + _CONTENT_BYTES)
    for observed, data in zip(wanted, found, strict=True):
        # The last object of a mapping may be smaller than what was read.
        whole = data or memory.read(observed.address - _HEADER.size, _HEADER.size)
        yield _look(observed, whole)


def _look(observed: ObservedObject, data: bytes | None) -> Look:
    if data is None:
        return Look(observed, State.GONE, 0, b"")
    with_size, destructor, _, references, magic = _HEADER.unpack_from(data)
    is_such = observed.destructor in (destructor, with_size)
    if magic >> 4 not in _LIVE or not is_such or references <= 0:
        return Look(observed, State.GONE, 0, b"")
    content = data[_HEADER.size :][: observed.size_bytes]
    is_other = observed.content is not None and content != observed.content
    return Look(observed, State.UNSURE if is_other else State.ALIVE, references, content)
