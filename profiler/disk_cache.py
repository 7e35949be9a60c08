"""What took long to make and is made again and again, kept on disk between runs.

Root's lies in /var/cache/ebpf-prof, another user's in their cache directory. An entry is used only
where it and its folder are its user's own, nobody else may write there, and its digest is right.
Whatever goes wrong here costs time, and nothing else: it is as if nothing had been kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MAX_BYTES = 256 << 20
MAX_ENTRIES = 4_096
VARIABLE = "EBPF_PROF_CACHE"
_MAX_ENTRY_BYTES = 64 << 20
_DIGEST_BYTES = 32
_NAME = re.compile(r"\.?[a-z]+-[0-9a-f]{64}(\.[0-9]+)?")  # of our entries, and those being written
_ABANDONED_S = 3_600.0  # a file that is written lives for milliseconds


def folder() -> Path | None:
    """Return where entries are kept; None: nowhere.

    EBPF_PROF_CACHE is another absolute path, or empty for none.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen) if chosen.startswith("/") else None
    if os.geteuid() == 0:
        return Path("/var/cache/ebpf-prof")
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = os.environ.get("HOME", "")
    if base.startswith("/"):
        return Path(base) / "ebpf-prof"
    return Path(home) / ".cache" / "ebpf-prof" if home.startswith("/") else None


def switch_off() -> None:
    """Keep and find nothing from now on: for who asks what is true at this moment."""
    os.environ[VARIABLE] = ""


def this_kernel() -> tuple[str, ...]:
    """Return what is another value under another kernel; OSError where that is not reported."""
    kernel = os.uname()
    return kernel.release, kernel.version, kernel.machine


def read(kind: str, key: bytes) -> bytes | None:
    """Return what was kept under a key; None where nothing was, or it cannot be trusted."""
    try:
        with _opened_folder() as at:
            return _read_entry(at, _name(kind, key), key)
    except OSError:
        return None


def write(kind: str, key: bytes, data: bytes) -> None:
    """Keep data under a key, and remove what was not used for longest where that is too much."""
    if len(data) > _MAX_ENTRY_BYTES:
        return
    with suppress(OSError), _opened_folder(make=True) as at:
        _write_entry(at, _name(kind, key), _digest(key, data) + data)
        _remove_oldest_once()


@cache
def digest_of_code(*files: str) -> bytes:
    """Return what is another value when one of these source files of ours is another.

    Ask when they are imported: later, an upgrade may have replaced them.
    """
    try:
        return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).digest()
    except OSError:
        return os.urandom(_DIGEST_BYTES)  # which nobody ever finds again


def for_this_boot(name: str, make: Callable[[], T]) -> T:
    """Return what `make` returns, which it is asked once in a boot.

    For what JSON can hold, and only where its answer is true: another may change. The answer is one
    of this version of ours: another may ask in another way.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        key = json.dumps((name, boot, this_kernel())).encode() + _asking_code()
    except OSError:
        return make()
    known = read("boot", key)
    if known is not None:
        found: T = json.loads(known)
        return found
    made = make()
    if made:
        write("boot", key, json.dumps(made).encode())
    return made


@cache
def _asking_code() -> bytes:
    """Return what is another value when anything of ours is: by time and size of all modules."""
    modules = sorted(Path(__file__).parent.rglob("*.py"))
    found = [(str(module), module.stat().st_mtime_ns, module.stat().st_size) for module in modules]
    return hashlib.sha256(json.dumps(found).encode()).digest()


def _name(kind: str, key: bytes) -> str:
    return f"{kind}-{hashlib.sha256(key).hexdigest()}"


def _digest(key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(len(key).to_bytes(8, "little") + key + data).digest()


@contextmanager
def _opened_folder(make: bool = False) -> Iterator[int]:
    """Open the folder, which must be ours alone; yield its descriptor. Raises OSError."""
    path = folder()
    if path is None:
        raise FileNotFoundError("nothing is kept")
    if make:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _require_own(os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _require_own(found: os.stat_result) -> None:
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError("others may have written this")


def _read_entry(at: int, name: str, key: bytes) -> bytes | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(name, flags, dir_fd=at), "rb") as file:
        found = os.fstat(file.fileno())
        _require_own(found)
        if not stat.S_ISREG(found.st_mode):
            return None
        content = file.read(_MAX_ENTRY_BYTES + _DIGEST_BYTES + 1)
        with suppress(OSError):
            os.utime(file.fileno())  # used now: see _remove_oldest
    data = content[_DIGEST_BYTES:]
    return data if _digest(key, data) == content[:_DIGEST_BYTES] else None


def _write_entry(at: int, name: str, content: bytes) -> None:
    temporary = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=at), "wb") as file:
            file.write(content)
        os.replace(temporary, name, src_dir_fd=at, dst_dir_fd=at)  # only when whole
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=at)
        raise


@cache
def _remove_oldest_once() -> None:
    """Tidy up, but not after every entry of one run: there may be hundreds."""
    with _opened_folder() as at:
        _remove_oldest(at)


def _remove_oldest(at: int) -> None:
    """Remove what a killed run left, and the entries that exceed what may be kept; nothing else."""
    entries = []
    for name in filter(_NAME.fullmatch, os.listdir(at)):
        with suppress(OSError):  # another run may have removed it
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
            if not name.startswith("."):
                entries.append((found.st_mtime, found.st_size, name))
            elif found.st_mtime < time.time() - _ABANDONED_S:
                os.unlink(name, dir_fd=at)
    total = 0
    for count, (_, size, name) in enumerate(sorted(entries, reverse=True), 1):
        total += size
        if total > MAX_BYTES or count > MAX_ENTRIES:
            with suppress(OSError):
                os.unlink(name, dir_fd=at)
