"""System calls that Python and BCC do not offer whole: bpf(2) and membarrier(2).

Numbers and layouts are of x86-64 and include/uapi/linux/bpf.h (Linux 6.18); fields added over time
are zero where a kernel does not know them. What opens something returns a file descriptor or raises
OSError; nothing here outlives the process, since the kernel removes programs and links with their
last descriptor.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from profiler.libc import LIBC

_SYS_BPF = 321
_SYS_MEMBARRIER = 324
_MEMBARRIER_CMD_GLOBAL = 1  # include/uapi/linux/membarrier.h

# enum bpf_cmd
_BPF_MAP_CREATE = 0
_BPF_MAP_LOOKUP_ELEM = 1
_BPF_MAP_UPDATE_ELEM = 2
_BPF_MAP_DELETE_ELEM = 3
_BPF_MAP_GET_NEXT_KEY = 4
_BPF_PROG_LOAD = 5
_BPF_OBJ_GET_INFO_BY_FD = 15
_BPF_RAW_TRACEPOINT_OPEN = 17
_BPF_MAP_LOOKUP_BATCH = 24  # Linux 5.6
_BPF_LINK_CREATE = 28
_BPF_ENABLE_STATS = 32
_BPF_ITER_CREATE = 33  # Linux 5.8
_ITERATION_BYTES = 1 << 15  # more is not read at once: kernel/bpf/bpf_iter.c, bpf_seq_read()

# enum bpf_prog_type
PROG_KPROBE = 2  # also uprobes
PROG_PERF_EVENT = 7
PROG_RAW_TRACEPOINT = 17
PROG_TRACING = 26

# enum bpf_attach_type
ATTACH_NONE = 0
ATTACH_ITERATOR = 28  # BPF_TRACE_ITER
ATTACH_UPROBE_MULTI = 48  # Linux 6.6

_UPROBE_MULTI_RETURN = 1  # BPF_F_UPROBE_MULTI_RETURN


_STATISTICS = struct.Struct("<192xQQ")  # struct bpf_prog_info up to run_cnt (Linux 5.1)
_MAP_INFO = struct.Struct("<I4x4I")  # struct bpf_map_info: type, id, sizes, entries, flags
_ENOTSUPP = 524  # include/linux/errno.h: kernel functions cannot be called without the JIT
# What the verifier answers to a program that it does not like; EFAULT: too many pending branches.
_REJECTIONS = (errno.EACCES, errno.EINVAL, errno.E2BIG, errno.EFAULT, errno.ENOMEM, _ENOTSUPP)
STATISTICS_SETTING = "/proc/sys/kernel/bpf_stats_enabled"
_LOG_BYTES = 1 << 20
_TRIES = 50
_ALL_SIGNALS = signal.valid_signals()


class VerifierError(OSError):
    """The kernel's verifier rejected a program; `log` is the end of what it said."""

    def __init__(self, number: int, log: str) -> None:
        super().__init__(number, os.strerror(number))
        self.log = log

    @property
    def reason(self) -> str:
        """Return the last line that says why; "" if there is none."""
        lines = [one for one in self.log.splitlines() if one and not one.startswith("processed")]
        return lines[-1][:120] if lines else ""


def _bpf(command: int, attributes: bytes) -> int:
    """Call bpf(2), which answers EAGAIN or EINTR while a signal is pending.

    A program that takes long to verify might never be loaded where signals come often, so they wait
    meanwhile. SIGSTOP does not wait: after it the call is made again.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:  # a handler that is due may raise here already
        signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
        try:
            return _call_again(command, attributes)
        except PermissionError:
            # Kernels before 5.11 count maps and programs as locked memory, which has a low limit.
            if not _lift_memory_limit():
                raise
            return _call_again(command, attributes)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _lift_memory_limit() -> bool:
    """Let this process lock as much memory as it wants; return whether that is new."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    if resource.getrlimit(resource.RLIMIT_MEMLOCK) == unlimited:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    except (OSError, ValueError):
        return False
    return True


def _call_again(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = errno.EAGAIN
    for _ in range(_TRIES):
        result = int(LIBC.syscall(_SYS_BPF, command, buffer, len(attributes)))
        if result >= 0:
            return result
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number))


def load_program(
    instructions: bytes, program_type: int, attach_type: int, name: str, attached_id: int = 0
) -> int:
    """Load a program and return its descriptor; raises VerifierError or OSError.

    `attached_id` is the BTF id of the kernel's function that a program is for, if it is for one.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"Dual MIT/GPL")
    log = ctypes.create_string_buffer(_LOG_BYTES)

    def attributes(log_level: int) -> bytes:
        return struct.pack(
            "<IIQQIIQII16sII36xI",
            program_type,
            len(instructions) // 8,
            ctypes.addressof(code),
            ctypes.addressof(licence),
            log_level,
            _LOG_BYTES if log_level else 0,
            ctypes.addressof(log) if log_level else 0,
            0,  # kern_version: not checked since Linux 5.0
            0,
            name.encode()[:15],
            0,
            attach_type,
            attached_id,
        )

    try:
        return _bpf(_BPF_PROG_LOAD, attributes(0))
    except OSError as error:
        if error.errno not in _REJECTIONS:
            raise
        number = error.errno
    if number == errno.E2BIG:  # known without a log, which would take as long again
        raise VerifierError(number, "more steps to follow than the verifier takes")
    # Only a rejected program is loaded again with a log: a log that does not fit is an error too.
    try:
        return _bpf(_BPF_PROG_LOAD, attributes(1))
    except OSError:
        text = log.value.decode(errors="replace")
        raise VerifierError(number, text[-4000:]) from None


def open_raw_tracepoint(name: str, program: int) -> int:
    """Run a program at a tracepoint of the kernel until the descriptor that is returned is closed.

    Raises OSError.
    """
    text = ctypes.create_string_buffer(name.encode())
    return _bpf(_BPF_RAW_TRACEPOINT_OPEN, struct.pack("<QII", ctypes.addressof(text), program, 0))


def iterate(program: int) -> Iterator[bytes]:
    """Run a program of ATTACH_ITERATOR once for each of what it is for; yield what it writes.

    Raises OSError.
    """
    link = _bpf(_BPF_LINK_CREATE, struct.pack("<IIII", program, 0, ATTACH_ITERATOR, 0))
    try:
        iteration = _bpf(_BPF_ITER_CREATE, struct.pack("<II", link, 0))
        try:
            while part := os.read(iteration, _ITERATION_BYTES):
                yield part
        finally:
            os.close(iteration)
    finally:
        os.close(link)


def create_map(
    kind: int, key_bytes: int, value_bytes: int, max_entries: int, flags: int, name: str
) -> int:
    """Make a map of a kind of enum bpf_map_type; return its descriptor. Raises OSError."""
    text = name.encode()[:15]
    return _bpf(
        _BPF_MAP_CREATE,
        struct.pack("<IIIIIII16s", kind, key_bytes, value_bytes, max_entries, flags, 0, 0, text),
    )


def _element(command: int, descriptor: int, key: Any, value: Any) -> bool:
    """Do something with one element of a map; False: it is not there. Raises OSError."""
    key_at = ctypes.addressof(key) if key is not None else 0
    value_at = ctypes.addressof(value) if value is not None else 0
    buffer = ctypes.create_string_buffer(struct.pack("<IIQQQ", descriptor, 0, key_at, value_at, 0))
    if LIBC.syscall(_SYS_BPF, command, buffer, 32) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.ENOENT:
        return False
    raise OSError(number, os.strerror(number))


def look_up_element(descriptor: int, key: Any, value: Any) -> bool:
    """Read the value of a key into a buffer; False: there is none. Raises OSError."""
    return _element(_BPF_MAP_LOOKUP_ELEM, descriptor, key, value)


def update_element(descriptor: int, key: Any, value: Any) -> None:
    """Store a value under a key. Raises OSError."""
    if not _element(_BPF_MAP_UPDATE_ELEM, descriptor, key, value):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def delete_element(descriptor: int, key: Any) -> bool:
    """Remove a key and its value; False: it was not there. Raises OSError."""
    return _element(_BPF_MAP_DELETE_ELEM, descriptor, key, None)


def next_key(descriptor: int, key: Any, following: Any) -> bool:
    """Read the key that follows one (None: the first) into a buffer; False: none. OSError."""
    return _element(_BPF_MAP_GET_NEXT_KEY, descriptor, key, following)


def lookup_batch(
    descriptor: int, start: Any, end: Any, keys: Any, values: Any, most: int
) -> tuple[int, bool]:
    """Read up to `most` entries of a map into buffers; return how many, and whether more follow.

    They begin at `start`, which a call before left in `end`; None is the map's start. Raises
    OSError.
    """
    pointers = (ctypes.addressof(buffer) if buffer else 0 for buffer in (start, end, keys, values))
    attributes = struct.pack("<QQQQIIQQ", *pointers, most, descriptor, 0, 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    is_more = LIBC.syscall(_SYS_BPF, _BPF_MAP_LOOKUP_BATCH, buffer, len(attributes)) == 0
    number = ctypes.get_errno()
    if not is_more and number != errno.ENOENT:
        raise OSError(number, os.strerror(number))
    (count,) = struct.unpack_from("<I", buffer, 32)
    return count, is_more


def wait_for_grace_period() -> None:
    """Wait until the kernel may free what was in use when this was called, if it lets us wait."""
    LIBC.syscall(_SYS_MEMBARRIER, _MEMBARRIER_CMD_GLOBAL, 0)  # synchronize_rcu()


@dataclass(frozen=True, slots=True)
class UprobeSite:
    """Where a uprobe goes: offset in the file in bytes, and the cookie its program reads."""

    file_offset: int
    cookie: int


def link_uprobes(
    program: int,
    attach_type: int,
    path: str,
    sites: Sequence[UprobeSite],
    pid: int,
    is_return: bool,
) -> int:
    """Attach one program at many sites of one file through one link; only `pid` is affected."""
    count = len(sites)
    path_text = ctypes.create_string_buffer(os.fsencode(path))
    offsets = (ctypes.c_uint64 * count)(*(site.file_offset for site in sites))
    cookies = (ctypes.c_uint64 * count)(*(site.cookie for site in sites))
    flags = _UPROBE_MULTI_RETURN if is_return else 0
    attributes = struct.pack(
        "<IIIIQQQQIIIIQ",
        program,
        0,
        attach_type,
        0,
        ctypes.addressof(path_text),
        ctypes.addressof(offsets),
        0,
        ctypes.addressof(cookies),
        count,
        flags,
        pid,
        0,
        0,
    )
    return _bpf(_BPF_LINK_CREATE, attributes)


def enable_program_statistics() -> int:
    """Let the kernel add up run time and count of every program until the descriptor is closed.

    That takes CAP_SYS_ADMIN, unless a sysctl has it on anyway: then the descriptor is the sysctl's.
    """
    try:
        return _bpf(_BPF_ENABLE_STATS, struct.pack("<I", 0))
    except PermissionError:
        setting = os.open(STATISTICS_SETTING, os.O_RDONLY | os.O_CLOEXEC)
        if os.read(setting, 1) == b"1":
            return setting
        os.close(setting)
        raise


@dataclass(frozen=True, slots=True)
class ProgramStatistics:
    """What a loaded program ran: time in nanoseconds, and count."""

    run_time_ns: int
    run_count: int


def read_program_statistics(program: int) -> ProgramStatistics:
    """Read the kernel's statistics of a program (zero unless they are enabled). Raises OSError."""
    return ProgramStatistics(*_STATISTICS.unpack(_info(program, _STATISTICS.size)))


def read_map_shape(descriptor: int) -> tuple[int, int, int, int, int]:
    """Return a map's kind, bytes of a key and a value, entries and flags. Raises OSError."""
    kind, key_bytes, value_bytes, entries, flags = _MAP_INFO.unpack(
        _info(descriptor, _MAP_INFO.size)
    )
    return kind, key_bytes, value_bytes, entries, flags


def _info(descriptor: int, size: int) -> bytes:
    """Return the beginning of what the kernel says of a program or a map."""
    found = ctypes.create_string_buffer(size)
    where = struct.pack("<IIQ", descriptor, size, ctypes.addressof(found))
    _call_again(_BPF_OBJ_GET_INFO_BY_FD, where)
    return found.raw


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors; one that was closed already does no harm."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
