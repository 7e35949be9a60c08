"""Reads the target's memory, without stopping it."""

from __future__ import annotations

import ctypes
import os

from profiler.libc import LIBC


class TargetMemory:
    """Reads the target's memory; None where it cannot be read."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def read(self, address: int, length: int) -> bytes | None:
        """Return `length` bytes at `address`, None unless all of them can be read."""
        if address <= 0 or address >> 47:
            return None
        buffer = ctypes.create_string_buffer(length)
        local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), length)
        remote = (ctypes.c_uint64 * 2)(address, length)
        count = LIBC.process_vm_readv(
            self._pid, local, ctypes.c_ulong(1), remote, ctypes.c_ulong(1), ctypes.c_ulong(0)
        )
        return buffer.raw if count == length else None

    def read_many(self, addresses: list[int], length: int) -> list[bytes | None]:
        """Return `length` bytes at each address; few system calls when all can be read."""
        if any(address <= 0 or address >> 47 for address in addresses):
            return [self.read(address, length) for address in addresses]
        found: list[bytes | None] = []
        step = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 1024
        for at in range(0, len(addresses), step):
            part = addresses[at : at + step]
            buffer = ctypes.create_string_buffer(length * len(part))
            local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), length * len(part))
            remote = (ctypes.c_uint64 * (2 * len(part)))()
            for index, address in enumerate(part):
                remote[2 * index], remote[2 * index + 1] = address, length
            count = LIBC.process_vm_readv(
                self._pid,
                local,
                ctypes.c_ulong(1),
                remote,
                ctypes.c_ulong(len(part)),
                ctypes.c_ulong(0),
            )
            if count == length * len(part):
                raw = buffer.raw
                found += [raw[length * i : length * (i + 1)] for i in range(len(part))]
            else:
                found += [self.read(address, length) for address in part]
        return found

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
