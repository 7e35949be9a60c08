"""Folders on the way to an output: opened one inside the other, and made where they are missing.

What was made here and is empty in the end is taken away again.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, suppress
from pathlib import Path

from profiler.errors import UsageError
from profiler.files.owner import Owner, hand_over

_MODE = 0o755


def open_parent(stack: ExitStack, path: Path, owner: Owner | None) -> tuple[int, str]:
    """Open the folder that `path` is in; return its descriptor, and the name of `path` in there.

    Links among the parents that exist are followed: the caller chose that path. Raises OSError.
    """
    absolute = path.absolute()  # "." has no name of its own
    parent, missing = absolute.parent, []
    while (descriptor := _open_existing(parent)) is None:
        missing.append(parent)
        parent = parent.parent
    stack.callback(os.close, descriptor)
    for folder in reversed(missing):
        descriptor = enter(stack, folder, descriptor, owner)
    return descriptor, absolute.name


def enter(stack: ExitStack, path: Path, parent: int, owner: Owner | None) -> int:
    """Open a folder by its name inside another, and make it unless it is there.

    Raises UsageError when it belongs to a third user, OSError when it is a link or no folder.
    """
    was_made = _make(path.name, parent)
    if was_made:
        stack.callback(_remove_if_empty, path.name, parent)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path.name, flags, dir_fd=parent)
    stack.callback(os.close, descriptor)
    _check_ours(path, descriptor, owner)
    if was_made:
        hand_over(descriptor, _MODE, owner)
    return descriptor


def require_writable(descriptor: int) -> None:
    """Raise OSError when a folder is on a file system where root, too, can only read."""
    if _is_read_only(descriptor):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def _is_read_only(descriptor: int) -> bool:
    try:
        return bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    except OSError:  # then it will turn out
        return False


def _open_existing(path: Path) -> int | None:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        if path == path.parent:
            raise
        return None


def _make(name: str, parent: int) -> bool:
    """Create a folder and return True, or return False when something of that name is there."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _check_ours(path: Path, descriptor: int, owner: Owner | None) -> None:
    uid = os.fstat(descriptor).st_uid
    if uid not in (0, os.geteuid(), owner.uid if owner else 0):
        raise UsageError(
            f"{str(path)!r} belongs to user {uid}, nothing is written into it",
            "Choose another folder with -o.",
        )


def _remove_if_empty(name: str, parent: int) -> None:
    with suppress(OSError):  # it holds something, or somebody was faster
        os.rmdir(name, dir_fd=parent)
