"""Which distribution a process sees around it, and which package its executable is of.

All of it comes from the target's own file system, which may be a container's: it is hostile. Paths
are resolved inside of its root, only regular files are read, and everything is bounded.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from profiler.binary.debug_files import open_in_root
from profiler.model.recording import System

_MAX_RELEASE_BYTES = 1 << 14
_MAX_LIST_BYTES = 1 << 20
_MAX_ENTRIES = 1 << 16  # a large desktop has 10,000 packages, each with some files there
_MAX_LISTS = 64
_MAX_TEXT = 64  # characters
_MAX_LIKE = 8
_RELEASES = ("/etc/os-release", "/usr/lib/os-release")  # os-release(5), in this order
_PACKAGES = "/var/lib/dpkg/info"  # dpkg-query(1): NAME.list, or NAME:ARCHITECTURE.list
_ASSIGNMENT = re.compile(r"^([A-Z_]+)=([\"']?)(.*)\2[ \t]*$", re.MULTILINE)
_ESCAPED = re.compile(r"\\(.)")


def read_system(root: int, executable: str) -> System | None:
    """Return what the file system below `root` says; None where it names no distribution."""
    for path in _RELEASES:
        with suppress(OSError, ValueError):
            text = _read(root, path, _MAX_RELEASE_BYTES).decode(errors="replace")
            return parse_os_release(text, find_package(root, executable))
    return None


def parse_os_release(text: str, package: str | None) -> System:
    """Return the fields of os-release(5) that are used here."""
    fields = {
        name: _ESCAPED.sub(r"\1", value)[:_MAX_TEXT] for name, _, value in _ASSIGNMENT.findall(text)
    }
    identifier = fields.get("ID", "linux")
    return System(
        id=identifier,
        like=tuple(fields.get("ID_LIKE", "").split()[:_MAX_LIKE]),
        version=fields.get("VERSION_ID"),
        name=fields.get("PRETTY_NAME", identifier),
        package=package,
    )


def find_package(root: int, executable: str) -> str | None:
    """Return the name of Debian's package that a file is of; None when there is none."""
    line = b"\n" + os.fsencode(executable) + b"\n"
    for name in islice(_lists(root), _MAX_LISTS):
        with suppress(OSError, ValueError):
            if line in _read(root, f"{_PACKAGES}/{name}", _MAX_LIST_BYTES):
                return name.removesuffix(".list").partition(":")[0][:_MAX_TEXT]
    return None


def _lists(root: int) -> Iterator[str]:
    """Yield the names of the lists that Asterisk's files may be in."""
    with suppress(OSError, ValueError):
        folder = open_in_root(root, _PACKAGES)
        with os.scandir(folder.fd) as entries:
            for entry in islice(entries, _MAX_ENTRIES):
                if entry.name.startswith("asterisk") and entry.name.endswith(".list"):
                    yield entry.name


def _read(root: int, path: str, limit: int) -> bytes:
    """Return the first bytes of a regular file; OSError or ValueError when it is none."""
    file = open_in_root(root, path)
    if not stat.S_ISREG(os.fstat(file.fd).st_mode):
        raise ValueError(f"{path} is no file")
    return os.pread(file.fd, limit, 0)
