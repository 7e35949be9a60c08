"""Which link of a hash container's chain is worth watching.

A lookup that passes a link reads it once. The farther a link lies down its chain, the fewer lookups
pass it: one that few of them pass tells as much about their rate as all of them would, for a
fraction of the traps. Layout of nodes: struct hash_bucket_node, main/astobj2_hash.c, 12 to 23.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.chains import NODE
from profiler.containers import ContainerState, IsCode, TargetMemory, read_container
from profiler.wire import Kind

_NEXT_OFFSET = 24
_BUCKET_OFFSET = 40
_MOST_NODES = 2_000
_WANTED = 0.01  # part of all lookups that should pass the first link that is tried
# From so many buckets on, fewer pass most first links: that of the longest of some chains is best.
_MANY_BUCKETS = 50
_CHAINS = 32
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
        self._container = 0  # of the last choice
        self._place = 0.0  # in its chain: 0 the first link, 1 the last one
        self._length = 0  # of the chain of the last choice
        self._moves = 0

    def choose(self, container: int, node: int) -> Link | None:
        """Return a link in that container, near a node in it; None if it cannot be read."""
        state = read_container(self._memory, container, self._is_code)
        if state is None or state.layout.kind is not Kind.HASH or state.buckets is None:
            return None
        links = self._longest(container, state, state.buckets, node)
        if not links:
            return None
        if container != self._container:
            # Each chain has its part of the lookups, and those that hit end anywhere in it.
            self._container, self._place = container, max(1 - _WANTED * state.buckets, 0.0)
        self._length = len(links)
        return links[self._index(self._place)]

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
        place = self._place
        if self._moves == _MOST_MOVES:
            return False
        if passing_ratio > self.MOST:
            better = 1.0
        elif passing_ratio < self.FEWEST:
            better = place / 2 if place > _LEAST_PLACE else 0.0
        else:
            return False
        if self._index(better) == self._index(place):
            return False
        self._place = better
        self._moves += 1
        return True

    def _index(self, place: float) -> int:
        return round(place * (self._length - 1))

    def _longest(
        self, container: int, state: ContainerState, buckets: int, node: int
    ) -> list[Link]:
        """Return the links of the longest chain of some: that of a node, and those beside it.

        Many elements are found in it, so that more lookups pass its first link than those of
        others. Where there are few chains, each has enough of them.
        """
        number = self._memory.read(node + _BUCKET_OFFSET, 4)
        bucket = int.from_bytes(number or b"", "little")
        if number is None or bucket >= buckets:
            return []
        chains = _CHAINS if buckets >= _MANY_BUCKETS else 1
        longest: list[Link] = []
        nodes = 0
        for index in range(chains):
            links = self._links(container, state, (bucket + index) % buckets)
            longest = max(longest, links, key=len)
            nodes += len(links)
            if nodes >= _MOST_NODES:
                break
        return longest

    def _links(self, container: int, state: ContainerState, bucket: int) -> list[Link]:
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
