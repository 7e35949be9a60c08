"""Perf events: the CPU clock and single uprobes, which run BPF programs, and mappings of code.

Numbers and layouts are of x86-64 and include/uapi/linux/perf_event.h (Linux 6.18).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

from profiler.libc import LIBC

_SYS_PERF_EVENT_OPEN = 298
_PERF_TYPE_SOFTWARE = 1
_PERF_COUNT_SW_CPU_CLOCK = 0
_PERF_COUNT_SW_DUMMY = 9
_PERF_FLAG_FD_CLOEXEC = 8
_PERF_EVENT_IOC_ENABLE = 0x2400
_PERF_EVENT_IOC_SET_BPF = 0x40042408
_UPROBE_PMU_TYPE = "/sys/bus/event_source/devices/uprobe/type"
_UPROBE_PMU_RETURN_BIT = 1  # format/retprobe: config:0

# struct perf_event_attr, flag bits
_ATTR_DISABLED = 1 << 0
_ATTR_EXCLUDE_IDLE = 1 << 7
_ATTR_MMAP = 1 << 8  # a record of each executable mapping
_ATTR_WATERMARK = 1 << 14  # wakeup_events is the number of bytes that wake the reader
_ATTR_EXCLUDE_GUEST = 1 << 20
_ATTR_SIZE = 120  # PERF_ATTR_SIZE_VER6


def _perf_event_open(attributes: bytes, pid: int, cpu: int) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    descriptor = int(
        LIBC.syscall(_SYS_PERF_EVENT_OPEN, buffer, pid, cpu, -1, _PERF_FLAG_FD_CLOEXEC)
    )
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return descriptor


def _perf_attributes(
    event_type: int, config: int, period: int, flags: int, config1: int = 0, config2: int = 0
) -> bytes:
    head = struct.pack("<IIQQQQQ", event_type, _ATTR_SIZE, config, period, 0, 0, flags)
    middle = struct.pack("<IIQQ", 1, 0, config1, config2)  # wakeup_events, bp_type
    return (head + middle).ljust(_ATTR_SIZE, b"\0")


def open_cpu_clock(period_ns: int, tid: int = -1, cpu: int = -1) -> int:
    """Open a disabled event that fires each `period_ns`, on a CPU that is not idle.

    Of a thread it fires each `period_ns` of that thread's CPU time.
    """
    flags = _ATTR_DISABLED | _ATTR_EXCLUDE_GUEST | _ATTR_EXCLUDE_IDLE
    return _perf_event_open(
        _perf_attributes(_PERF_TYPE_SOFTWARE, _PERF_COUNT_SW_CPU_CLOCK, period_ns, flags), tid, cpu
    )


def open_code_mappings(cpu: int) -> int:
    """Open an event that writes a record whenever any process maps code on a CPU.

    The kernel lets no event follow all threads of one process into one ring buffer: one on a thread
    does not see its siblings, and one that new threads inherit cannot be mapped (perf_mmap() in
    kernel/events/core.c).
    """
    flags = _ATTR_MMAP | _ATTR_WATERMARK
    return _perf_event_open(
        _perf_attributes(_PERF_TYPE_SOFTWARE, _PERF_COUNT_SW_DUMMY, 0, flags), -1, cpu
    )


def open_uprobe(path: str, file_offset: int, pid: int, is_return: bool) -> int:
    """Open a disabled uprobe event on one place of a file, for one process."""
    with open(_UPROBE_PMU_TYPE) as file:  # noqa: PTH123
        event_type = int(file.read())
    path_text = ctypes.create_string_buffer(os.fsencode(path))
    attributes = _perf_attributes(
        event_type,
        _UPROBE_PMU_RETURN_BIT if is_return else 0,
        1,
        _ATTR_DISABLED,
        ctypes.addressof(path_text),
        file_offset,
    )
    return _perf_event_open(attributes, pid, -1)


def run_program_on(event: int, program: int) -> None:
    """Let a perf event run a program each time it fires, and enable it."""
    fcntl.ioctl(event, _PERF_EVENT_IOC_SET_BPF, program)
    fcntl.ioctl(event, _PERF_EVENT_IOC_ENABLE, 0)


def enable_event(event: int) -> None:
    """Start an event that was opened disabled."""
    fcntl.ioctl(event, _PERF_EVENT_IOC_ENABLE, 0)
