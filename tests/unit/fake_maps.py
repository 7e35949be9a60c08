"""BPF maps in memory, for what reads and writes those of the programs."""

from __future__ import annotations

from collections.abc import Iterator


class Map(dict[bytes, bytes]):
    """A BPF map."""

    max_entries = 16
    user_value_size = 16

    set = dict.__setitem__

    def delete(self, key: bytes) -> bool:
        return self.pop(key, None) is not None

    def items(self) -> Iterator[tuple[bytes, bytes]]:  # type: ignore[override]
        yield from list(super().items())  # as the kernel does, whatever is deleted meanwhile


class Module:
    """The maps that programs share with us; each is there once it is asked for."""

    def __init__(self) -> None:
        self.maps: dict[str, Map] = {}

    def map(self, name: str) -> Map:
        return self.maps.setdefault(name, Map())
