"""Maps of a kernel that is only played; real ones are in tests/bpf."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from profiler.errors import KernelError
from profiler.linux import bpf, maps
from profiler.linux.compiled import MapShape
from profiler.linux.maps import BpfMap

HASH, PER_CPU_ARRAY = 1, 6  # enum bpf_map_type


class Kernel:
    """Keeps one map in memory, and gives its entries out in parts."""

    def __init__(self, entries: dict[bytes, bytes], part: int = 2) -> None:
        self.entries = entries
        self.part = part
        self.error = 0  # of reading
        self.given = 0

    def look_up_element(self, _descriptor: int, key: Any, value: Any) -> bool:
        found = self.entries.get(key.raw)
        if found is None:
            return False
        value.raw = found
        return True

    def update_element(self, _descriptor: int, key: Any, value: Any) -> None:
        if len(self.entries) == 3:
            raise OSError(errno.E2BIG, "Argument list too long")
        self.entries[key.raw] = value.raw

    def delete_element(self, _descriptor: int, key: Any) -> bool:
        return self.entries.pop(key.raw, None) is not None

    def next_key(self, _descriptor: int, key: Any, following: Any) -> bool:
        keys = list(self.entries)
        place = keys.index(key.raw) + 1 if key is not None else 0
        following[: len(following)] = (keys + [bytes(len(following))])[place]
        return place < len(keys)

    def lookup_batch(
        self, _descriptor: int, _start: Any, _end: Any, keys: Any, values: Any, _most: int
    ) -> tuple[int, bool]:
        if self.error:
            raise OSError(self.error, "")
        part = list(self.entries.items())[self.given : self.given + self.part]
        self.given += len(part)
        keys[: sum(len(key) for key, _ in part)] = b"".join(key for key, _ in part)
        values[: sum(len(value) for _, value in part)] = b"".join(value for _, value in part)
        return len(part), self.given < len(self.entries)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., BpfMap]:
    def open_map(kernel: Kernel, map_type: int = HASH, value_size: int = 4) -> BpfMap:
        monkeypatch.setattr(bpf, "create_map", lambda *_: 9)
        for name in (
            *("look_up_element", "update_element", "delete_element"),
            *("next_key", "lookup_batch"),
        ):
            monkeypatch.setattr(bpf, name, getattr(kernel, name))
        monkeypatch.setattr(maps, "possible_cpus", lambda: 2)
        return BpfMap("things", MapShape(map_type, 2, value_size, 3, 0))

    return open_map


def test_entries_are_stored_found_and_removed(opened: Callable[..., BpfMap]) -> None:
    things = opened(Kernel({}))
    assert things.get(b"k1") is None
    things.set(b"k1", b"four")
    assert things.get(b"k1") == b"four"
    assert things.delete(b"k1")
    assert not things.delete(b"k1")


def test_nothing_is_left_in_a_map_that_was_cleared(opened: Callable[..., BpfMap]) -> None:
    kernel = Kernel({b"k1": b"four", b"k2": b"four", b"k3": b"four"})
    opened(kernel).clear()
    assert kernel.entries == {}


def test_a_full_map_and_a_wrong_size_are_errors(opened: Callable[..., BpfMap]) -> None:
    things = opened(Kernel({b"k1": b"four", b"k2": b"four", b"k3": b"four"}))
    with pytest.raises(OSError, match="things: Argument list too long"):
        things.set(b"k4", b"four")
    with pytest.raises(ValueError, match="things"):
        things.set(b"k", b"four")
    with pytest.raises(ValueError, match="things"):
        things.set(b"k1", b"fives")


def test_all_entries_are_read_over_several_calls(
    opened: Callable[..., BpfMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "_BATCH", 2)
    entries = {b"k1": b"aaaa", b"k2": b"bbbb", b"k3": b"cccc"}
    assert dict(opened(Kernel(entries)).items()) == entries
    assert not list(opened(Kernel({})).items())


def test_reading_that_fails_or_never_ends_is_an_error(
    opened: Callable[..., BpfMap], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel({b"k1": b"aaaa"})
    kernel.error = errno.EPERM
    with pytest.raises(PermissionError):
        list(opened(kernel).items())
    endless = Kernel({b"k1": b"aaaa"})
    monkeypatch.setattr(endless, "lookup_batch", lambda *_: (0, True))
    with pytest.raises(KernelError, match="things does not come to an end"):
        list(opened(endless).items())


def test_values_of_each_cpu_stand_in_eight_bytes(opened: Callable[..., BpfMap]) -> None:
    things = opened(Kernel({b"k1": b"aaaa\0\0\0\0bbbb\0\0\0\0"}), PER_CPU_ARRAY)
    assert things.user_value_size == 16
    assert things.values_of_cpus(b"k1") == (b"aaaa", b"bbbb")
    assert things.values_of_cpus(b"k2") == ()
