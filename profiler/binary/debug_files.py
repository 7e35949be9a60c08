"""Finds the separate debug files of an ELF file: by build id, by debug link, in a given directory.

Paths are resolved inside a root directory, the target's (/proc/PID/root) and then the host's, by
openat2 with RESOLVE_IN_ROOT (Linux 5.6, commit fddb5d430ad9): a link in the target's file system
must not lead out of it. A file counts only when its build id, or the CRC-32 that the debug link
demands, is right. Layout of the directories: gdb manual, "Debugging Information in Separate Files".
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from profiler.binary.elf import Elf, ElfError
from profiler.libc import LIBC

GLOBAL_DIRECTORY = PurePosixPath("/usr/lib/debug")
INSTALLED_SYMBOLS = Path(GLOBAL_DIRECTORY)  # of this machine
MAX_DIRECTORY_ENTRIES = 1 << 14
CHUNK_BYTES = 1 << 20
MAX_CRC_BYTES = 1 << 31  # a larger debug file is not read through for its CRC
SYS_OPENAT2 = 437
OPEN_HOW = struct.Struct("<QQQ")  # flags, mode, resolve
RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x02, 0x10
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
RETRIES = 8  # openat2 answers EAGAIN when a rename went on beneath it


class OpenFile:
    """An open file descriptor, closed with its last owner."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


def open_in_root(root_fd: int, path: str) -> OpenFile:
    """Open a file for reading as a process with that root directory would; OSError if absent."""
    how = OPEN_HOW.pack(OPEN_FLAGS, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    number = errno.EAGAIN
    for _ in range(RETRIES):
        fd = LIBC.syscall(SYS_OPENAT2, root_fd, os.fsencode(path), how, len(how))
        if fd >= 0:
            return OpenFile(fd)
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


def find_debug_file(elf: Elf, path: str, roots: Iterable[int]) -> OpenFile | None:
    """Return the first right separate debug file of `elf`, open; None when there is none.

    `path` is where the target sees the file, `roots` are directory descriptors in search order.
    """
    for root in roots:
        for candidate in _candidates(elf, path):
            try:
                file = open_in_root(root, candidate)
            except (OSError, ValueError):
                continue
            if _belongs(file, elf):
                return file
    return None


class SymbolDirectory:
    """The directory of `--symbols`: debug files or unstripped files, found by build id.

    DIR/.build-id/xx/yyyy.debug, DIR/BUILDID and DIR/BUILDID.debug are tried first, then the build
    ids of all files directly in DIR are read, once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, Path] | None = None

    def find(self, build_id: str) -> OpenFile | None:
        """Return the file with that build id, open, None when the directory has none."""
        names = (f".build-id/{build_id[:2]}/{build_id[2:]}.debug", build_id, f"{build_id}.debug")
        for name in names:
            file = open_with_build_id(self._directory / name, build_id)
            if file is not None:
                return file
        if self._known is None:
            self._known = dict(self._scan())
        found = self._known.get(build_id)
        return None if found is None else open_with_build_id(found, build_id)

    def _scan(self) -> Iterator[tuple[str, Path]]:
        try:
            entries = sorted(self._directory.iterdir(), reverse=True)
        except OSError:
            return
        for path in entries[:MAX_DIRECTORY_ENTRIES]:
            _, build_id = _open_elf(path)
            if build_id is not None:
                yield build_id, path


def _candidates(elf: Elf, path: str) -> Iterator[str]:
    build_id, link = elf.build_id, elf.debuglink
    if build_id is not None and len(build_id) > 2:
        yield str(GLOBAL_DIRECTORY / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug")
    if link is None or not path.startswith("/"):
        return
    directory = PurePosixPath(path).parent
    yield str(directory / link.name)
    yield str(directory / ".debug" / link.name)
    yield str(GLOBAL_DIRECTORY / directory.relative_to("/") / link.name)


def _belongs(file: OpenFile, elf: Elf) -> bool:
    try:
        debug = Elf.from_fd(file.fd)
        if debug.build_id is not None and elf.build_id is not None:
            return debug.build_id == elf.build_id
        if elf.debuglink is None or debug.size > MAX_CRC_BYTES:
            return False
        return file_crc(file.fd) == elf.debuglink.crc
    except (ElfError, OSError):
        return False


def file_crc(fd: int) -> int:
    """Return the CRC-32 of a file's contents, as .gnu_debuglink stores it."""
    crc = 0
    offset = 0
    while chunk := os.pread(fd, CHUNK_BYTES, offset):
        crc = zlib.crc32(chunk, crc)
        offset += len(chunk)
    return crc


def open_with_build_id(path: Path, build_id: str) -> OpenFile | None:
    """Return the file, open, when it is an ELF file with that build id; else None."""
    file, found = _open_elf(path)
    return file if found == build_id else None


def _open_elf(path: Path) -> tuple[OpenFile | None, str | None]:
    try:
        file = OpenFile(os.open(path, OPEN_FLAGS))
        return file, Elf.from_fd(file.fd).build_id
    except (ElfError, OSError):
        return None, None
