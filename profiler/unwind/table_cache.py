"""Keeps compiled unwind tables between runs.

A table is found by a digest over everything that it was compiled from, never by a build id alone:
the target could carry another file's. Each file also has a digest of its own contents. The folder
belongs to the user that runs us and is closed to all others; nothing in it is followed as a link,
files appear by rename, so that several runs can use it at once, and its size is bounded.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from profiler.binary.call_frames import CallFrameSection
from profiler.binary.debug_files import OpenFile
from profiler.unwind.table import UnwindTable, decode_table, encode_table

FORMAT = b"ebpf-prof unwind table 5\n"  # change it with every change of the compiler's results
MAX_FILE_BYTES = 128 << 20
MAX_TOTAL_BYTES = 256 << 20
STALE_AFTER_S = 3600  # of a temporary file that its writer left behind

_DIGEST_BYTES = 16
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def default_directory() -> Path:
    """Return the folder of root's, or of the user's, cache."""
    if os.geteuid() == 0:
        return Path("/var/cache/ebpf-prof")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ebpf-prof"


def table_key(
    sections: Iterable[CallFrameSection],
    code_ranges: tuple[tuple[int, int], ...],
    ends_in_leaves: bool = False,
) -> str:
    """Return the name under which the table of these inputs is kept."""
    digest = hashlib.blake2b(FORMAT, digest_size=_DIGEST_BYTES)
    digest.update(repr((code_ranges, ends_in_leaves)).encode())
    for section in sections:
        head = (section.address, section.is_debug, section.ends_at_zero, len(section.data))
        digest.update(repr(head).encode())
        digest.update(section.data)
    return digest.hexdigest()


class TableCache:
    """One folder of tables. Whatever goes wrong in it, the answer is "not there"."""

    def __init__(self, directory: OpenFile | None) -> None:
        self._directory = directory
        self._written = 0

    @classmethod
    def open(cls, path: Path) -> TableCache:
        """Open, and make if needed, the folder; an unsafe or impossible one keeps nothing."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            directory = OpenFile(os.open(path, flags))
        except OSError:
            return cls(None)
        status = os.fstat(directory.fd)
        is_ours = status.st_uid == os.geteuid() and not status.st_mode & 0o077
        return cls(directory if is_ours else None)

    def get(self, key: str) -> UnwindTable | None:
        """Return the table kept under this key, None when there is none or it is damaged."""
        if self._directory is None:
            return None
        try:
            file = OpenFile(os.open(key, _READ, dir_fd=self._directory.fd))
            status = os.fstat(file.fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
                return None
            data = os.pread(file.fd, status.st_size, 0)
            os.utime(file.fd)  # the folder is trimmed by time of use
        except OSError:
            return None
        payload = data[_DIGEST_BYTES:]
        return decode_table(payload) if data[:_DIGEST_BYTES] == _digest(payload) else None

    def put(self, key: str, table: UnwindTable) -> None:
        """Keep a table."""
        if self._directory is None:
            return
        payload = encode_table(table)
        self._written += 1
        temporary = f".{key}.{os.getpid()}.{self._written}"
        folder = self._directory.fd
        try:
            file = OpenFile(os.open(temporary, _WRITE, 0o600, dir_fd=folder))
        except OSError:
            return
        try:
            data = _digest(payload) + payload
            complete = os.write(file.fd, data) == len(data)
        except OSError:
            complete = False
        with suppress(OSError):
            if complete:
                os.rename(temporary, key, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                os.unlink(temporary, dir_fd=folder)

    def trim(self) -> None:
        """Remove the tables used longest ago beyond the bound, and what was left half written."""
        if self._directory is None or not self._written:
            return
        folder = self._directory.fd
        kept: list[tuple[float, int, str]] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    kept.append((status.st_mtime, status.st_size, entry.name))
        total = sum(size for _, size, _ in kept)
        stale = time.time() - STALE_AFTER_S
        for changed_at, size, name in sorted(kept):
            is_stale = name.startswith(".") and changed_at < stale
            if total > MAX_TOTAL_BYTES or is_stale:
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)
                    total -= size


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
