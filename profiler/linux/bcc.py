"""The only door to BCC: compile programs with it, load them, reach their maps.

BCC compiles and creates the maps; programs are loaded by bpf(2) itself, because they need what BCC
cannot pass on (attach types, kernel functions). Our header shim stands in for kernel headers.
"""

from __future__ import annotations

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
from profiler.linux.maps import BpfMap, RingBuffer

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
_MOST_SAID_BYTES = 1 << 16


def bpf_directory() -> Path:
    """Return the folder of the C sources, which is part of the package (in a checkout, a link)."""
    return Path(__file__).parents[1] / "bpf"


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
    patched = bytearray(code)
    for at in range(0, len(code), 8):
        (number,) = struct.unpack_from("<I", code, at + 4)
        if code[at] != _CALL or number not in _KERNEL_FUNCTIONS:
            continue
        name = _KERNEL_FUNCTIONS[number]
        function_id = kernel_functions().get(name)
        if function_id is None:
            raise KernelError(f"this kernel has no {name}", "ebpf-prof doctor")
        struct.pack_into("<BBhi", patched, at, _CALL, _PSEUDO_KFUNC_CALL << 4, 0, function_id)
    return bytes(patched)
