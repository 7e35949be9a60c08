"""Which link of a hash container's chain is worth watching.

A lookup that passes a link reads it once. The farther a link lies down its chain, the fewer lookups
pass it: one that few of them pass tells as much about their rate as all of them would, for a
fraction of the traps. Layout of nodes: struct hash_bucket_node, main/astobj2_hash.c, 12 to 23.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.chains import NODE
from profiler.containers import IsCode, TargetMemory, read_container
from profiler.wire import Kind

_NEXT_OFFSET = 24
_BUCKET_OFFSET = 40
_MOST_NODES = 2_000
_FIRST_PLACE = 0.99
_LEAST_PLACE = 0.1
_MOST_MOVES = 8


@dataclass(frozen=True, slots=True)
class Link:
    """A link: the address of a pointer, which node it leads to, and in which container."""

    address: int
    node: int
    container: int


class LinkChooser:
    """Finds a link that a few of a container's lookups pass, by trying."""

    # Lookups that pass it, of those in the container: fewer tell too little, more are too dear.
    FEWEST, MOST = 0.005, 0.05

    def __init__(self, memory: TargetMemory, is_code: IsCode) -> None:
        self._memory = memory
        self._is_code = is_code
        self._place = _FIRST_PLACE  # in its chain: 0 the first link, 1 the last one
        self._moves = 0

    def choose(self, container: int, node: int) -> Link | None:
        """Return a link in the chain of a node in that container, None if it cannot be read."""
        links = self._links(container, node)
        return links[round(self._place * (len(links) - 1))] if links else None

    def is_there(self, link: Link) -> bool:
        """Tell whether a link still leads to that node."""
        pointer = self._memory.read(link.address, 8)
        found = self._memory.read(link.node, NODE.size)
        if pointer is None or found is None:
            return False
        return int.from_bytes(pointer, "little") == link.node and (
            NODE.unpack(found)[1] == link.container
        )

    def move(self, passing_ratio: float) -> bool:
        """Learn how many lookups pass the last link; tell whether another one should be chosen."""
        if self._moves == _MOST_MOVES:
            return False
        if passing_ratio > self.MOST and self._place < 1:
            self._place = 1.0
        elif passing_ratio < self.FEWEST and self._place > 0:
            self._place = self._place / 2 if self._place > _LEAST_PLACE else 0.0
        else:
            return False
        self._moves += 1
        return True

    def _links(self, container: int, node: int) -> list[Link]:
        state = read_container(self._memory, container, self._is_code)
        number = self._memory.read(node + _BUCKET_OFFSET, 4)
        if state is None or number is None or state.layout.kind is not Kind.HASH:
            return []
        bucket = int.from_bytes(number, "little")
        if state.buckets is None or bucket >= state.buckets:
            return []
        layout = state.layout
        address = container + layout.buckets_offset + bucket * layout.bucket_bytes
        links: list[Link] = []
        while len(links) < _MOST_NODES:
            pointer = self._memory.read(address, 8)
            following = int.from_bytes(pointer or b"", "little")
            data = self._memory.read(following, NODE.size)
            if data is None or NODE.unpack(data)[1] != container:
                break
            links.append(Link(address, following, container))
            address = following + _NEXT_OFFSET
        return links
