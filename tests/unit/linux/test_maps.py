"""Maps and ring buffers on a library that only plays them; real ones are in tests/bpf."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from typing import Any

import pytest

from profiler.errors import KernelError
from profiler.linux import bpf, maps
from profiler.linux.maps import BpfMap, RingBuffer

HASH, PER_CPU_ARRAY = 1, 6  # enum bpf_map_type
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Kernel:
    """Keeps one map in memory, and gives its entries out in parts."""

    def __init__(self, entries: dict[bytes, bytes], part: int = 2) -> None:
        self.entries = entries
        self.part = part
        self.error = 0  # of reading
        self.given = 0

    def bpf_lookup_elem(self, _descriptor: int, key: Any, value: Any) -> int:
        found = self.entries.get(key.raw)
        if found is None:
            return -1
        value.raw = found
        return 0

    def bpf_update_elem(self, _descriptor: int, key: Any, value: Any, _flags: int) -> int:
        ctypes.set_errno(errno.E2BIG)
        if len(self.entries) == 3:
            return -1
        self.entries[key.raw] = value.raw
        return 0

    def bpf_delete_elem(self, _descriptor: int, key: Any) -> int:
        return -1 if self.entries.pop(key.raw, None) is None else 0

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
        fields = {"key_size": 2, "value_size": value_size, "max_entries": 3, "map_type": map_type}
        texts = {name: str(number) for name, number in fields.items()}
        monkeypatch.setattr(bpf, "descriptor_fields", lambda _: texts)
        monkeypatch.setattr(bpf, "lookup_batch", kernel.lookup_batch)
        monkeypatch.setattr(maps, "possible_cpus", lambda: 2)
        return BpfMap(kernel, 9, "things")

    return open_map


def test_entries_are_stored_found_and_removed(opened: Callable[..., BpfMap]) -> None:
    things = opened(Kernel({}))
    assert things.get(b"k1") is None
    things.set(b"k1", b"four")
    assert things.get(b"k1") == b"four"
    assert things.delete(b"k1")
    assert not things.delete(b"k1")


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


class Rings:
    """Gives records to the reader's callback, as libbpf does."""

    def __init__(self, manager: int | None = 1) -> None:
        self.manager = manager
        self.waiting: list[bytes] = []
        self.freed = 0

    def bpf_new_ringbuf(self, _descriptor: int, callback: Any, _context: Any) -> int | None:
        self.callback = callback
        return self.manager

    def bpf_consume_ringbuf(self, _manager: int) -> None:
        for record in self.waiting:
            at = ctypes.cast(ctypes.c_char_p(record), ctypes.c_void_p)
            self.callback(None, at, len(record))
        self.waiting = []

    def bpf_free_ringbuf(self, _manager: int) -> None:
        self.freed += 1


def test_records_are_read_once_and_in_order() -> None:
    rings = Rings()
    ring = RingBuffer(rings, CALLBACK, 5)
    assert ring.drain() == []
    rings.waiting = [b"one\0more", b"two"]
    assert ring.drain() == [b"one\0more", b"two"]
    assert ring.drain() == []
    ring.close()
    ring.close()
    assert rings.freed == 1


def test_a_ring_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(KernelError, match="ring buffer"):
        RingBuffer(Rings(manager=None), CALLBACK, 5)
