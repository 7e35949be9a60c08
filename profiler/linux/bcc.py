"""The only door to the kernel's BPF side: compile with BCC, load programs, reach maps.

BCC compiles and creates the maps; programs are loaded by bpf(2) itself, because they need what BCC
cannot pass on (attach types, kernel functions). Our header shim stands in for kernel headers.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from profiler.errors import KernelError
from profiler.linux import bpf
from profiler.linux.bpf import ProgramStatistics
from profiler.linux.btf import function_ids
from profiler.linux.cpus import possible_cpus

# Placeholders in our C sources for kernel functions, see bpf/kfuncs.h. BCC's compiler emits a call
# of a helper with this number; it is turned into a call of the kernel function before loading.
_KERNEL_FUNCTIONS = {
    0x7E000001: "bpf_iter_num_new",
    0x7E000002: "bpf_iter_num_next",
    0x7E000003: "bpf_iter_num_destroy",
    0x7E000004: "bpf_session_is_return",
}
SESSION_FUNCTIONS = frozenset(("bpf_session_is_return",))  # Linux 6.13
ITERATOR_FUNCTIONS = frozenset(_KERNEL_FUNCTIONS.values()) - SESSION_FUNCTIONS  # Linux 6.4
_CALL = 0x85  # BPF_JMP | BPF_CALL
_PSEUDO_KFUNC_CALL = 2  # include/uapi/linux/bpf.h
_OWN_INCLUDE = re.compile(r'^#include "([a-z_]+\.h)"$', re.MULTILINE)
_BATCH = 4096
_MOST_SAID_BYTES = 1 << 16


def bpf_directory() -> Path:
    """Return the folder of the C sources: beside the package, or below the installation prefix."""
    beside = Path(__file__).resolve().parents[2] / "bpf"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "ebpf-prof" / "bpf"


def read_sources(names: tuple[str, ...]) -> str:
    """Return the C sources as one text, each of our own headers included once.

    BCC rewrites map accesses only in the text that it is given, so headers must be part of it.
    """
    seen: set[str] = set()

    def expand(name: str) -> str:
        text = (bpf_directory() / name).read_text()

        def include(match: re.Match[str]) -> str:
            if match[1] in seen:
                return ""
            seen.add(match[1])
            return expand(match[1])

        return _OWN_INCLUDE.sub(include, text)

    return "\n".join(expand(name) for name in names)


class Program:
    """A loaded BPF program."""

    def __init__(self, name: str, descriptor: int, program_type: int) -> None:
        self.name = name
        self.descriptor = descriptor
        self.program_type = program_type

    def statistics(self) -> ProgramStatistics:
        """Read the kernel's statistics (zero unless they are enabled)."""
        return bpf.read_program_statistics(self.descriptor)

    def close(self) -> None:
        """Give up the descriptor; the kernel frees the program when nothing else holds it."""
        os.close(self.descriptor)


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
        """Remove an entry; tell whether it was there."""
        return bool(self._library.bpf_delete_elem(self.descriptor, _buffer(key)) == 0)

    def values_of_cpus(self, key: bytes) -> tuple[bytes, ...]:
        """Return the value of each possible CPU of a per-CPU map; () when absent."""
        whole = self.get(key)
        if whole is None:
            return ()
        step = (self.value_size + 7) // 8 * 8
        return tuple(whole[at : at + self.value_size] for at in range(0, len(whole), step))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all entries. Entries that change meanwhile are seen before or after the change."""
        library, size = self._library, self.key_size
        keys = ctypes.create_string_buffer(size * _BATCH)
        values = ctypes.create_string_buffer(self.user_value_size * _BATCH)
        token_in: Any = None
        token = ctypes.create_string_buffer(max(size, 8))
        for _ in range(self.max_entries // _BATCH + 2):
            count = ctypes.c_uint32(_BATCH)
            status = library.bpf_lookup_batch(
                self.descriptor,
                ctypes.cast(token_in, ctypes.POINTER(ctypes.c_uint32)) if token_in else None,
                ctypes.cast(token, ctypes.POINTER(ctypes.c_uint32)),
                keys,
                values,
                ctypes.byref(count),
            )
            number = ctypes.get_errno()
            if status != 0 and number != errno.ENOENT:
                raise OSError(number, f"{self.name}: {os.strerror(number)}")
            raw_keys, raw_values = keys.raw, values.raw
            for index in range(count.value):
                value_at = index * self.user_value_size
                yield (
                    raw_keys[index * size : (index + 1) * size],
                    raw_values[value_at : value_at + self.user_value_size],
                )
            if status != 0:
                return
            token_in = token
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


class BpfModule:
    """One compiled set of programs and their maps; closing it removes all of them."""

    def __init__(self, sources: tuple[str, ...], definitions: Mapping[str, int]) -> None:
        flags = ["-w", *(f"-D{name}={value}" for name, value in definitions.items())]
        os.environ["BCC_KERNEL_SOURCE"] = str(bpf_directory() / "shim")
        bcc, self._library = _import_bcc()
        # In memory: nowhere on disk may be room, or permission, to write.
        with os.fdopen(os.memfd_create("bcc"), "w+b") as said, _errors_into(said.fileno()):
            try:
                # The parentheses of the text are BCC's: it takes text or a file, never both.
                self._module = bcc.BPF(text=read_sources(sources).encode(), cflags=flags)
            except Exception as error:  # noqa: BLE001  # all that BCC ever raises
                said.seek(0)
                reason = _first_error(said.read(_MOST_SAID_BYTES).decode(errors="replace"))
                raise KernelError(
                    f"BCC cannot make the BPF programs: {reason or error}", "ebpf-prof doctor"
                ) from error
        self._ring_callback_type = bcc.libbcc._RINGBUF_CB_TYPE
        self._programs: list[Program] = []
        self._rings: list[RingBuffer] = []
        self._maps: dict[str, BpfMap] = {}

    def load(self, function: str, program_type: int, attach_type: int = 0) -> Program:
        """Load one function as a program; raises VerifierError, OSError or KernelError."""
        code = with_kernel_functions(self._module.dump_func(function.encode()))
        descriptor = bpf.load_program(code, program_type, attach_type, function)
        program = Program(function, descriptor, program_type)
        self._programs.append(program)
        return program

    def map(self, name: str) -> BpfMap:
        """Return a map by its name in the sources."""
        if name not in self._maps:
            self._maps[name] = BpfMap(self._library, self._module[name.encode()].map_fd, name)
        return self._maps[name]

    def ring_buffer(self, name: str) -> RingBuffer:
        """Open a ring buffer by its name in the sources."""
        ring = RingBuffer(self._library, self._ring_callback_type, self.map(name).descriptor)
        self._rings.append(ring)
        return ring

    def set_tail_call(self, name: str, index: int, program: Program) -> None:
        """Let slot `index` of a program array lead to `program`."""
        self.map(name).set(struct.pack("<I", index), struct.pack("<I", program.descriptor))

    def programs(self) -> tuple[Program, ...]:
        """Return the loaded programs."""
        return tuple(self._programs)

    def close(self) -> None:
        """Close rings, programs and maps. Links and events must be closed before."""
        for ring in self._rings:
            ring.close()
        for program in self._programs:
            with suppress(OSError):
                program.close()
        self._rings, self._programs, self._maps = [], [], {}
        self._module.cleanup()

    def __enter__(self) -> BpfModule:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _errors_into(descriptor: int) -> Iterator[None]:
    """Let what C libraries write to stderr go elsewhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _first_error(text: str) -> str:
    """Return the line of a compiler's, or of BCC's, output that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else "")[:200]


def _import_bcc() -> tuple[Any, Any]:
    try:
        import bcc
        import bcc.libbcc
    except ImportError as error:
        raise KernelError(
            f"BCC is not there for this Python ({sys.executable}): {error}",
            "sudo apt install python3-bpfcc, and run ebpf-prof with /usr/bin/python3",
        ) from error
    except OSError as error:  # of the dynamic linker, in words, and without a number
        if error.errno is not None:
            raise
        raise KernelError(
            f"BCC's library cannot be loaded: {error}",
            "ulimit -v unlimited, or sudo apt install --reinstall python3-bpfcc libbpfcc",
        ) from error
    if not hasattr(bcc, "BPF"):
        raise KernelError(
            "the package 'bcc' that Python finds is another project",
            "pip uninstall bcc; sudo apt install python3-bpfcc",
        )
    return bcc, bcc.libbcc.lib


def kernel_functions() -> dict[str, int]:
    """Return the ids of those kernel functions that our programs may call and this kernel has."""
    # Always all names, so that the kernel's types are searched once.
    return function_ids(frozenset(_KERNEL_FUNCTIONS.values()))


def with_kernel_functions(code: bytes) -> bytes:
    """Return the program with placeholder calls turned into calls of kernel functions.

    Raises KernelError when this kernel has no such function.
    """
    wanted = {
        _KERNEL_FUNCTIONS[number]
        for at in range(0, len(code), 8)
        if code[at] == _CALL
        and (number := struct.unpack_from("<I", code, at + 4)[0]) in _KERNEL_FUNCTIONS
    }
    if not wanted:
        return code
    ids = kernel_functions()
    if missing := wanted - ids.keys():
        raise KernelError(f"this kernel has no {', '.join(sorted(missing))}", "ebpf-prof doctor")
    patched = bytearray(code)
    for at in range(0, len(code), 8):
        if code[at] == _CALL:
            name = _KERNEL_FUNCTIONS.get(struct.unpack_from("<I", code, at + 4)[0])
            if name:
                struct.pack_into("<BBhi", patched, at, _CALL, _PSEUDO_KFUNC_CALL << 4, 0, ids[name])
    return bytes(patched)
