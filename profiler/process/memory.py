"""Reads the target's memory, without stopping it."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from itertools import accumulate, chain

from profiler.libc import LIBC

_MOST_PARTS = 1024  # of one call: UIO_MAXIOV in include/uapi/linux/uio.h


class TargetMemory:
    """Reads the target's memory; None where it cannot be read."""

    def __init__(self, pid: int) -> None:
        self._pid: int | None = pid

    def give_up(self) -> None:
        """Read nothing any more: another program may have the pid, or the process, by now."""
        self._pid = None

    def read(self, address: int, length: int) -> bytes | None:
        """Return `length` bytes at `address`, None unless all of them can be read."""
        return self._read_all([address], length) if _may_be_mapped(address) else None

    def read_many(self, addresses: list[int], length: int) -> list[bytes | None]:
        """Return `length` bytes at each address; few system calls when all can be read."""
        if not all(map(_may_be_mapped, addresses)):
            return [self.read(address, length) for address in addresses]
        found: list[bytes | None] = []
        for at in range(0, len(addresses), _MOST_PARTS):
            part = addresses[at : at + _MOST_PARTS]
            raw = self._read_all(part, length)
            if raw is None:
                found += [self.read(address, length) for address in part]
            else:
                found += [raw[start : start + length] for start in range(0, len(raw), length)]
        return found

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """Return what is in each range of (address, length), as `read_many`."""
        found: list[bytes | None] = []
        for at in range(0, len(ranges), _MOST_PARTS):
            part = ranges[at : at + _MOST_PARTS]
            is_sane = all(_may_be_mapped(address) for address, _ in part)
            raw = self._read_parts(part) if is_sane else None
            if raw is None:
                found += [self.read(address, length) for address, length in part]
            else:
                ends = list(accumulate(length for _, length in part))
                found += [raw[end - size : end] for end, (_, size) in zip(ends, part, strict=True)]
        return found

    def _read_all(self, addresses: list[int], length: int) -> bytes | None:
        return self._read_parts([(address, length) for address in addresses])

    def _read_parts(self, parts: Sequence[tuple[int, int]]) -> bytes | None:
        if self._pid is None:
            return None
        size = sum(length for _, length in parts)
        buffer = ctypes.create_string_buffer(size)
        local = struct.pack("QQ", ctypes.addressof(buffer), size)
        remote = struct.pack(f"{2 * len(parts)}Q", *chain.from_iterable(parts))
        read = LIBC.process_vm_readv(self._pid, local, 1, remote, len(parts), 0)
        return buffer.raw if read == size else None

    def text(self, address: int, limit: int = 256) -> str | None:
        """Return the C string at `address`, cut at `limit` bytes; None when unreadable."""
        collected = b""
        while len(collected) < limit:
            at = address + len(collected)
            length = min(64 - at % 64, limit - len(collected))  # never across a page
            part = self.read(at, length)
            if part is None:
                return None
            end = part.find(b"\0")
            if end >= 0:
                return (collected + part[:end]).decode(errors="replace")
            collected += part
        return collected.decode(errors="replace")


def _may_be_mapped(address: int) -> bool:
    """Return whether a process can have this address: the lower half of 48 bits is its own."""
    return 0 < address < 1 << 47
