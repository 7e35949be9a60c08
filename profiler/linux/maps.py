"""BPF maps as bytes to bytes."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from typing import Any

from profiler.errors import KernelError
from profiler.linux import bpf
from profiler.linux.compiled import MapShape
from profiler.linux.cpus import possible_cpus

_BATCH = 4096
_PER_CPU_KINDS = (5, 6, 10)  # BPF_MAP_TYPE_PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH


class BpfMap:
    """One BPF map, as bytes to bytes."""

    def __init__(self, name: str, shape: MapShape) -> None:
        """Make the map in the kernel, which frees it when `close` and all programs let go of it.

        Raises OSError.
        """
        self.name = name
        self.key_size = shape.key_bytes
        self.value_size = shape.value_bytes
        self.max_entries = shape.max_entries
        self.descriptor = bpf.create_map(
            shape.kind,
            shape.key_bytes,
            shape.value_bytes,
            shape.max_entries,
            shape.flags,
            name,
        )
        self.user_value_size = self.value_size
        if shape.kind in _PER_CPU_KINDS:
            self.user_value_size = (self.value_size + 7) // 8 * 8 * possible_cpus()

    def get(self, key: bytes) -> bytes | None:
        """Return a value (of all CPUs one after the other in a per-CPU map), None when absent."""
        value = ctypes.create_string_buffer(self.user_value_size)
        is_there = bpf.look_up_element(self.descriptor, _buffer(key), value)
        return value.raw if is_there else None

    def set(self, key: bytes, value: bytes) -> None:
        """Store a value; raises OSError when the map is full."""
        if len(key) != self.key_size or len(value) != self.user_value_size:
            raise ValueError(f"{self.name}: key or value of the wrong size")
        try:
            bpf.update_element(self.descriptor, _buffer(key), _buffer(value))
        except OSError as error:
            raise OSError(error.errno, f"{self.name}: {error.strerror}") from None

    def delete(self, key: bytes) -> bool:
        """Remove an entry; return whether it was there."""
        return bpf.delete_element(self.descriptor, _buffer(key))

    def clear(self) -> None:
        """Remove all entries; what is added meanwhile may stay."""
        # All keys first: to ask for the first one again and again passes all empty buckets.
        for key in tuple(self._keys()):
            self.delete(key)

    def _keys(self) -> Iterator[bytes]:
        """Yield all keys, without their values, which may be large."""
        key: Any = None
        for _ in range(self.max_entries):
            following = ctypes.create_string_buffer(self.key_size)
            if not bpf.next_key(self.descriptor, key, following):
                return
            yield following.raw
            key = following

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

    def close(self) -> None:
        """Give up the descriptor."""
        bpf.close_all((self.descriptor,))


def _buffer(data: bytes) -> Any:
    return ctypes.create_string_buffer(data, len(data))
