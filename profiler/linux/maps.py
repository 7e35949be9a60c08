"""BPF maps as bytes to bytes, and the reader of ring buffers."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from typing import Any

from profiler.errors import KernelError
from profiler.linux import bpf
from profiler.linux.cpus import possible_cpus

_BATCH = 4096


class BpfMap:
    """One BPF map, as bytes to bytes."""

    def __init__(self, library: Any, descriptor: int, name: str) -> None:
        self._library = library
        self.descriptor = descriptor
        self.name = name
        fields = bpf.descriptor_fields(descriptor)
        self.key_size = int(fields["key_size"])
        self.value_size = int(fields["value_size"])
        self.max_entries = int(fields["max_entries"])
        # enum bpf_map_type: PERCPU_HASH 5, PERCPU_ARRAY 6, LRU_PERCPU_HASH 10
        self.per_cpu = int(fields["map_type"]) in (5, 6, 10)
        self.user_value_size = self.value_size
        if self.per_cpu:
            self.user_value_size = (self.value_size + 7) // 8 * 8 * possible_cpus()

    def get(self, key: bytes) -> bytes | None:
        """Return a value (of all CPUs one after the other in a per-CPU map), None when absent."""
        value = ctypes.create_string_buffer(self.user_value_size)
        status = self._library.bpf_lookup_elem(self.descriptor, _buffer(key), value)
        return value.raw if status == 0 else None

    def set(self, key: bytes, value: bytes) -> None:
        """Store a value; raises OSError when the map is full."""
        if len(key) != self.key_size or len(value) != self.user_value_size:
            raise ValueError(f"{self.name}: key or value of the wrong size")
        if self._library.bpf_update_elem(self.descriptor, _buffer(key), _buffer(value), 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{self.name}: {os.strerror(number)}")

    def delete(self, key: bytes) -> bool:
        """Remove an entry; return whether it was there."""
        return bool(self._library.bpf_delete_elem(self.descriptor, _buffer(key)) == 0)

    def clear(self) -> None:
        """Remove all entries; what is added meanwhile may stay."""
        key = ctypes.create_string_buffer(self.key_size)
        for _ in range(self.max_entries):
            if self._library.bpf_get_next_key(self.descriptor, None, key) != 0:
                return
            self.delete(key.raw)

    def values_of_cpus(self, key: bytes) -> tuple[bytes, ...]:
        """Return the value of each possible CPU of a per-CPU map; () when absent."""
        whole = self.get(key)
        if whole is None:
            return ()
        step = (self.value_size + 7) // 8 * 8
        return tuple(whole[at : at + self.value_size] for at in range(0, len(whole), step))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all entries. Entries that change meanwhile are seen before or after the change."""
        size, value_size = self.key_size, self.user_value_size
        most = min(_BATCH, self.max_entries)
        keys = ctypes.create_string_buffer(size * most)
        values = ctypes.create_string_buffer(value_size * most)
        start: Any = None
        end = ctypes.create_string_buffer(max(size, 8))
        for _ in range(self.max_entries // _BATCH + 2):
            try:
                count, is_more = bpf.lookup_batch(self.descriptor, start, end, keys, values, most)
            except OSError as error:
                raise OSError(error.errno, f"{self.name}: {error.strerror}") from None
            raw_keys, raw_values = keys.raw, values.raw
            for index in range(count):
                value_at = index * value_size
                yield (
                    raw_keys[index * size : (index + 1) * size],
                    raw_values[value_at : value_at + value_size],
                )
            if not is_more:
                return
            start = end
        raise KernelError(f"map {self.name} does not come to an end", "ebpf-prof doctor")

    def memory(self, length: int) -> mmap.mmap:
        """Map `length` bytes of a BPF_F_MMAPABLE array into our memory, to read and write."""
        pages = (length + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE
        return mmap.mmap(self.descriptor, pages, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


def _buffer(data: bytes) -> Any:
    return ctypes.create_string_buffer(data, len(data))


class RingBuffer:
    """Reader of one BPF ring buffer; records reach `receive` as bytes, in order."""

    def __init__(self, library: Any, callback_type: Any, descriptor: int) -> None:
        self._library = library
        self._records: list[bytes] = []

        def on_record(_context: Any, data: int, size: int) -> int:
            self._records.append(ctypes.string_at(data, size))
            return 0

        self._callback = callback_type(on_record)  # kept: C holds only a pointer to it
        self._manager = library.bpf_new_ringbuf(descriptor, self._callback, None)
        if not self._manager:
            raise KernelError("cannot read a BPF ring buffer", "ebpf-prof doctor")

    def drain(self) -> list[bytes]:
        """Return all records that are there now, without waiting."""
        self._library.bpf_consume_ringbuf(self._manager)
        records, self._records = self._records, []
        return records

    def close(self) -> None:
        """Stop reading."""
        if self._manager:
            self._library.bpf_free_ringbuf(self._manager)
            self._manager = None
