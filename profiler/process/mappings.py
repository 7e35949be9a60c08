"""Which code the target has mapped where, and the files behind it, held open.

A file is opened through /proc/PID/map_files, which leads to the very file that is mapped, whatever
its path names by now and whatever mount namespace the target lives in. It stays open, so that the
target's exit or an upgrade does not take it away. The vdso is read from the target's memory.
"""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from profiler.binary.debug_files import OpenFile, open_in_root
from profiler.binary.elf import PF_X, Elf, ElfError
from profiler.errors import TargetError, refused
from profiler.process.procfs import PROC

MAX_MAPS_BYTES = 64 << 20  # a million mappings
MAX_PAST = 1 << 12
MAX_VDSO_BYTES = 1 << 20
VDSO = "[vdso]"
VSYSCALL = b"[vsyscall]"  # old system calls that nothing uses any more, and no file describes
TRAMPOLINES = "[uprobes]"  # the kernel's page for probed instructions and return probes
_PAGE_BYTES = 4096
_ADDRESS_MASK = (1 << 64) - 1
_DELETED = b" (deleted)"

# Linux Documentation/filesystems/proc.rst; the path is free text, a newline in it reads "\012".
_EXECUTABLE = re.compile(
    rb"^([0-9a-f]{1,16})-([0-9a-f]{1,16}) [r-][w-]x[ps] ([0-9a-f]{1,16})"
    rb" ([0-9a-f]+:[0-9a-f]+) ([0-9]{1,20}) *(.*)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, order=True)
class Mapping:
    """An executable mapping, addresses [start, end); `path` as the target sees it, or "[vdso]"."""

    start: int
    end: int
    offset: int  # in the file
    device: str
    inode: int  # 0: no file
    path: str
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A mapped file, open as long as this value lives."""

    path: str
    elf: Elf
    build_id: str | None
    handle: OpenFile | None  # None for the vdso, whose bytes are ours


@dataclass(frozen=True, slots=True)
class LoadedCode:
    """A mapping and the file behind it.

    An address of the target minus `bias` is the virtual address inside the file. `problem` says
    why there is no file; then `file` and `bias` are None.
    """

    mapping: Mapping
    file: CodeFile | None
    bias: int | None
    problem: str | None


def parse_maps(text: bytes) -> tuple[Mapping, ...]:
    """Return the executable mappings of a /proc/PID/maps text, by address."""
    found = []
    for match in _EXECUTABLE.finditer(text):
        start, end, offset = (int(match[group], 16) for group in (1, 2, 3))
        path = match[6]
        is_deleted = path.endswith(_DELETED)
        if is_deleted:
            path = path[: -len(_DELETED)]
        if start < end and path != VSYSCALL:
            device, inode = match[4].decode(), int(match[5])
            name = os.fsdecode(path)
            found.append(Mapping(start, end, offset, device, inode, name, is_deleted))
    return tuple(sorted(found))


def executable_lines(text: bytes) -> bytes:
    """Return the lines of a /proc/PID/maps text that are about code; threads come and go beside."""
    lines = text.split(b"\n")
    return b"\n".join(line for line in lines if line.partition(b" ")[2][2:3] == b"x")


def read_maps(pid: int, proc: Path = PROC) -> bytes:
    """Return the text of the target's executable mappings; TargetError when it is gone."""
    try:
        with (proc / str(pid) / "maps").open("rb") as file:
            return executable_lines(file.read(MAX_MAPS_BYTES))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise TargetError(
            f"process {pid} does not exist (any more)", "pgrep -a asterisk"
        ) from error
    except PermissionError as error:
        raise refused("the memory map", pid) from error


def load_bias(elf: Elf, mapping: Mapping) -> int | None:
    """Return mapped address minus virtual address inside the file, None if no segment fits."""
    for load in elf.loads:
        first = load.offset // _PAGE_BYTES * _PAGE_BYTES
        if load.flags & PF_X and first <= mapping.offset < load.offset + load.file_bytes:
            address = load.address - load.offset + mapping.offset
            return _signed(mapping.start - address)
    return None


def _signed(value: int) -> int:
    # Negative for prelinked files that were moved down; differences beyond 64 bits are hostile.
    value &= _ADDRESS_MASK
    return value - (1 << 64) if value >> 63 else value


class TargetCode:
    """The code of one process; `refresh` reads what is mapped now."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self.pid = pid
        self._directory = proc / str(pid)
        self._proc = proc
        self._files: dict[tuple[str, int, str], CodeFile | str] = {}
        self._text = b""  # that `current` was made of
        self._loaded: dict[Mapping, LoadedCode] = {}
        self._past: list[LoadedCode] = []  # unmapped since, newest last
        self.current: tuple[LoadedCode, ...] = ()

    def refresh(self) -> bool:
        """Read the mappings again; return whether `current` changed.

        A target that has just ended has no mappings: then what was known last is kept.
        """
        text = read_maps(self.pid, self._proc)
        mappings = () if text == self._text else parse_maps(text)
        if not mappings:
            return False
        self._text = text
        loaded = {mapping: self._loaded.get(mapping) or self._load(mapping) for mapping in mappings}
        changed = loaded.keys() != self._loaded.keys()
        gone = [code for mapping, code in self._loaded.items() if mapping not in loaded]
        self._past = (self._past + gone)[-MAX_PAST:]
        self._loaded = loaded
        self.current = tuple(loaded.values())
        return changed

    def files(self) -> Iterator[CodeFile]:
        """Yield every file that was ever seen, also those unmapped since."""
        for file in self._files.values():
            if isinstance(file, CodeFile):
                yield file

    def at(self, address: int) -> LoadedCode | None:
        """Return the code mapped at an address, or what was last mapped there."""
        index = bisect_right(self.current, address, key=lambda code: code.mapping.start) - 1
        if index >= 0 and address < self.current[index].mapping.end:
            return self.current[index]
        for code in reversed(self._past):
            if code.mapping.start <= address < code.mapping.end:
                return code
        return None

    def _load(self, mapping: Mapping) -> LoadedCode:
        if not mapping.inode and mapping.path != VDSO:
            return LoadedCode(mapping, None, None, "not backed by a file")
        key = (mapping.device, mapping.inode, mapping.path)
        file = self._files.get(key)
        if file is None:
            file = self._files[key] = self._open(mapping)
        if isinstance(file, str):
            return LoadedCode(mapping, None, None, file)
        bias = load_bias(file.elf, mapping)
        problem = "mapped outside its executable segments" if bias is None else None
        return LoadedCode(mapping, None if problem else file, bias, problem)

    def _open(self, mapping: Mapping) -> CodeFile | str:
        # The file, or why there is none.
        try:
            if mapping.path == VDSO:
                elf = Elf.from_bytes(self._read_memory(mapping))
                return CodeFile(mapping.path, elf, elf.build_id, None)
            handle = self._open_file(mapping)
            elf = Elf.from_fd(handle.fd)
            return CodeFile(mapping.path, elf, elf.build_id, handle)
        except ElfError as error:
            return str(error)
        except OSError as error:
            return f"cannot be opened: {error.strerror}"

    def _open_file(self, mapping: Mapping) -> OpenFile:
        link = self._directory / "map_files" / f"{mapping.start:x}-{mapping.end:x}"
        try:
            return OpenFile(os.open(link, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError:
            # Needs CAP_CHECKPOINT_RESTORE; the path will do if it still leads to the same file.
            return self._open_path(mapping)

    def _open_path(self, mapping: Mapping) -> OpenFile:
        root = OpenFile(os.open(self._directory / "root", os.O_PATH | os.O_CLOEXEC))
        handle = open_in_root(root.fd, mapping.path)
        status = os.fstat(handle.fd)
        if not stat.S_ISREG(status.st_mode) or status.st_ino != mapping.inode:
            raise FileNotFoundError(0, "it was replaced or removed", mapping.path)
        return handle

    def _read_memory(self, mapping: Mapping) -> bytes:
        size = min(mapping.end - mapping.start, MAX_VDSO_BYTES)
        memory = OpenFile(os.open(self._directory / "mem", os.O_RDONLY | os.O_CLOEXEC))
        return os.pread(memory.fd, size, mapping.start)
