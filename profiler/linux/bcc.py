"""The only door to BCC, which compiles our C sources.

It does so in a process of its own: clang needs 130 MB and much time, which a run that finds the
result in the cache spares, and another gets back. Our header shim stands in for kernel headers.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from profiler import disk_cache
from profiler.errors import KernelError
from profiler.libc import LIBC
from profiler.linux import bpf
from profiler.linux.compiled import CompiledPrograms, MapShape, with_map_numbers

_OWN_INCLUDE = re.compile(r'^#include "([a-z_]+\.h)"$', re.MULTILINE)
_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_MOST_SAID_BYTES = 1 << 16
_MOST_REALTIME_MS = 2_000  # which a compiler may have of its parent's
_MOST_PART_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # include/uapi/linux/fcntl.h
_LIBRARY = re.compile(r"/(libbcc|libLLVM|libclang)[^/]*$")
# What the child runs: isolated from the environment, with our own path for modules.
_CHILD = "import sys; sys.path[:] = {path!r}; from profiler.linux.bcc import serve; serve({parent})"


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


class Compilation:
    """The programs of some sources: found in the cache, or being compiled since this was made."""

    def __init__(self, sources: tuple[str, ...], macros: Mapping[str, int]) -> None:
        flags = ["-w", *(f"-D{name}={value}" for name, value in sorted(macros.items()))]
        self._request = json.dumps([read_sources(sources), flags]).encode()
        self._key = _key(self._request)
        self._found = _cached(self._key) if self._key else None
        self._child = None if self._found else _Child(self._request)

    @property
    def is_running(self) -> bool:
        """Whether the programs have to be waited for."""
        return self._found is None

    def result(self) -> CompiledPrograms:
        """Wait for the programs; raises KernelError."""
        if self._found is None:
            assert self._child is not None
            found, libraries = self._child.result()
            self._found = found
            if self._key and libraries:
                entry = json.dumps(libraries).encode() + b"\n" + found.encode()
                disk_cache.write("programs", self._key, entry)
        return self._found

    def close(self) -> None:
        """End the compiler, if it still runs."""
        if self._child is not None:
            self._child.close()


def compile_programs(sources: tuple[str, ...], macros: Mapping[str, int]) -> CompiledPrograms:
    """Return the programs of some sources; raises KernelError."""
    compilation = Compilation(sources, macros)
    try:
        return compilation.result()
    finally:
        compilation.close()


def _key(request: bytes) -> bytes | None:
    """Return all that the result depends on, but for BCC itself; None where that is not known."""
    try:
        return json.dumps((*disk_cache.this_kernel(), _shim())).encode() + request
    except OSError:
        return None


@cache
def _shim() -> str:
    headers = sorted((bpf_directory() / "shim").rglob("*.h"))
    return "\n".join(header.read_text() for header in headers)


def _cached(key: bytes) -> CompiledPrograms | None:
    """Return what these libraries of BCC and clang made of the same request on this kernel."""
    entry = disk_cache.read("programs", key)
    if entry is None:
        return None
    libraries, _, found = entry.partition(b"\n")
    try:
        known = json.loads(libraries)
        if not known or any(_identity(path) != identity for path, *identity in known):
            return None
        return CompiledPrograms.decode(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _identity(path: str) -> list[int]:
    """Return what is another number when a file was replaced; raises OSError."""
    found = Path(path).stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


class _Child:
    """A process that compiles one request."""

    def __init__(self, request: bytes) -> None:
        # In memory: nowhere on disk may be room, or permission, to write.
        self._said = os.memfd_create("said")
        theirs, ours = os.pipe()
        self._result, answer = os.pipe()
        package = str(Path(__file__).parents[2])  # which an editable install has in no path
        code = _CHILD.format(path=[package, *sys.path], parent=os.getpid())
        try:
            self._pid: int | None = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", code],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, file, at)
                    for at, file in enumerate((theirs, answer, self._said))
                ],
                setsigmask=[signal.SIGXCPU],  # of priority.py: Python and clang may take long
            )
            _write(ours, request)
        finally:
            bpf.close_all((theirs, ours, answer))

    def result(self) -> tuple[CompiledPrograms, list[list[str | int]]]:
        """Wait for the result: programs, and the libraries that made them, if these are known."""
        result = b"".join(self._parts())
        code = self._wait()
        said = os.pread(self._said, _MOST_SAID_BYTES, 0)
        if result.startswith(b"!"):
            raise KernelError(*json.loads(result[1:]))
        if code or not result:
            reason = _first_error(said.decode(errors="replace"))
            ended = f"it was ended by signal {-code}" if code < 0 else f"exit code {code}"
            raise KernelError(_cannot_compile(reason or ended), "ebpf-prof doctor")
        libraries, _, found = result.partition(b"\n")
        return CompiledPrograms.decode(found), json.loads(libraries)

    def close(self) -> None:
        """End it, and forget what it said."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._wait()
        bpf.close_all((self._result, self._said))

    def _parts(self) -> Iterator[bytes]:
        """Yield what it writes until it ends."""
        ready = select.poll()
        ready.register(self._result, select.POLLIN)
        if self._pid is not None and not ready.poll(_MOST_REALTIME_MS):
            _run_ordinarily(self._pid)
        while part := os.read(self._result, _MOST_PART_BYTES):
            yield part

    def _wait(self) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        pid, self._pid = self._pid, None
        assert pid is not None
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:  # who started us ignores SIGCHLD: the kernel has waited for it
            return 0


def _write(pipe: int, data: bytes) -> None:
    """Write all of it; somebody who has ended does not read it, and that shows elsewhere."""
    with suppress(OSError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, len(data))  # so that nobody has to wait for the reader
    with suppress(BrokenPipeError):
        while data:
            data = data[os.write(pipe, data) :]


def _run_ordinarily(pid: int) -> None:
    """Take realtime priority from it, which it has inherited where threads fill the CPUs."""
    with suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def _cannot_compile(reason: str) -> str:
    return f"BCC cannot make the BPF programs: {reason}"


def _first_error(text: str) -> str:
    """Return the line of a compiler's, or of BCC's, output that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "")[:200]


def serve(parent: int) -> None:
    """Compile what stdin asks for, to stdout; a line that begins with ! is message and hint.

    Runs in a process of its own, which ends with its parent.
    """
    with suppress(OSError):
        os.setsid()  # it is not the one whom a terminal interrupts
    _end_with(parent)
    text, flags = json.load(sys.stdin)
    try:
        found = _compile(text, flags)
        libraries = _identities()
        sys.stdout.write(json.dumps(libraries) + "\n" + found.encode().decode())
    except KernelError as error:
        sys.stdout.write("!" + json.dumps([error.message, error.hint]))
    sys.stdout.flush()
    os._exit(0)  # clang's own way out takes long


def _end_with(parent: int) -> None:
    LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def _compile(text: str, flags: list[str]) -> CompiledPrograms:
    os.environ["BCC_KERNEL_SOURCE"] = str(bpf_directory() / "shim")
    bcc, library = _import_bcc()
    try:
        # The parentheses of the text are BCC's: it takes text or a file, never both.
        made = bcc.BPF(text=text.encode(), cflags=flags)
    except Exception as error:
        sys.stderr.flush()
        reason = _first_error(os.pread(2, _MOST_SAID_BYTES, 0).decode(errors="replace"))
        raise KernelError(_cannot_compile(reason or str(error)), "ebpf-prof doctor") from error
    library.bpf_table_name.restype = ctypes.c_char_p  # which BCC's Python does not declare
    library.bpf_table_name.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    tables = range(library.bpf_num_tables(made.module))
    names = [_text(library.bpf_table_name(made.module, index)) for index in tables]
    descriptors = [library.bpf_table_fd_id(made.module, index) for index in tables]
    numbers = {descriptor: number for number, descriptor in enumerate(descriptors)}
    functions = (
        library.bpf_function_name(made.module, index)
        for index in range(library.bpf_num_functions(made.module))
    )
    return CompiledPrograms(
        {name: _shape(descriptor) for name, descriptor in zip(names, descriptors, strict=True)},
        {_text(name): with_map_numbers(made.dump_func(name), numbers) for name in functions},
    )


def _text(name: Any) -> str:
    return str(name.decode())


def _shape(descriptor: int) -> MapShape:
    return MapShape(*bpf.read_map_shape(descriptor))


def _identities() -> list[list[str | int]]:
    """Return the files of BCC and clang in this process; [] where one is not there any more."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if line.count("/")}
    try:
        return [[path, *_identity(path)] for path in sorted(filter(_LIBRARY.search, paths))]
    except OSError:
        return []


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
