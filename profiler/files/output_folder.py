"""The output folder: files written by root for the user who called sudo, following no links.

The folder is opened once; every file is made under a new name inside it, given to the user, and
renamed over the old one, so a reader sees the old file or the new one. Nothing is deleted.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from profiler.errors import UsageError

_FOLDER_MODE = 0o755
_FILE_MODE = 0o644
_ID_MAX = 2**32 - 2  # uid_t and gid_t; the last value means "leave unchanged" to chown


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom the output belongs to."""

    uid: int
    gid: int


def find_owner(environ: Mapping[str, str], effective_uid: int) -> Owner | None:
    """Return the user behind sudo, or None when the output already belongs to the right user."""
    if effective_uid != 0:
        return None
    uid, gid = environ.get("SUDO_UID", ""), environ.get("SUDO_GID", "")
    if not all(text.isascii() and text.isdigit() and len(text) <= 10 for text in (uid, gid)):
        return None
    owner = Owner(int(uid), int(gid))
    return owner if max(owner.uid, owner.gid) <= _ID_MAX else None


@contextmanager
def output_folder(path: Path, owner: Owner | None) -> Iterator[OutputFolder]:
    """Open a folder to write outputs into; it is made unless it is there.

    Raises UsageError when the path is a link, is no folder, belongs to a third user, or cannot be
    written. Links in the path to the parent are followed: the caller chose that path.
    """
    with ExitStack() as stack:
        with _explained(path):
            absolute = path.absolute()  # "." has no name of its own
            parent = os.open(absolute.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, parent)
            created = _make(absolute.name, parent)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(absolute.name, flags, dir_fd=parent)
            stack.callback(os.close, descriptor)
            _check_ours(path, descriptor, owner)
            if created:
                _finish(descriptor, _FOLDER_MODE, owner)
        yield OutputFolder(path, owner, descriptor)


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that outputs are written into."""

    path: Path
    _owner: Owner | None
    _descriptor: int

    @contextmanager
    def text(self, name: str) -> Iterator[TextIO]:
        """Open the file `name` as UTF-8; what UTF-8 cannot say is written as a backslash escape."""
        with self.binary(name) as out:
            text = io.TextIOWrapper(out, "utf-8", errors="backslashreplace", newline="\n")
            yield text
            text.flush()
            text.detach()

    @contextmanager
    def binary(self, name: str) -> Iterator[BinaryIO]:
        """Open the file `name`; it replaces the old one when the block ends without an error."""
        with _explained(self.path / name):
            self._check_replaceable(name)
            temporary = f".{name}.{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600, dir_fd=self._descriptor)
            try:
                with os.fdopen(descriptor, "wb") as out:
                    yield out
                    out.flush()
                    _finish(descriptor, _FILE_MODE, self._owner)
                    os.fsync(descriptor)
                here = self._descriptor
                os.rename(temporary, name, src_dir_fd=here, dst_dir_fd=here)
            except BaseException:
                os.unlink(temporary, dir_fd=self._descriptor)
                raise

    def _check_replaceable(self, name: str) -> None:
        try:
            mode = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISREG(mode):
            raise UsageError(
                f"{str(self.path / name)!r} is not a file (or is a symlink), it is not replaced",
                "Remove it, or choose another folder with -o.",
            )


def _check_ours(path: Path, descriptor: int, owner: Owner | None) -> None:
    uid = os.fstat(descriptor).st_uid
    if uid not in (0, os.geteuid(), owner.uid if owner else 0):
        raise UsageError(
            f"{str(path)!r} belongs to user {uid}, nothing is written into it",
            "Choose another folder with -o.",
        )


def _finish(descriptor: int, mode: int, owner: Owner | None) -> None:
    """Set mode and owner of what was just created; the umask does not count."""
    os.fchmod(descriptor, mode)
    if owner is not None:
        os.fchown(descriptor, owner.uid, owner.gid)


def _make(name: str, parent: int) -> bool:
    """Create a folder and return True, or return False when something of that name is there."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return False
    return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system says about `path` into a UsageError."""
    try:
        yield
    except OSError as error:
        problem = f"cannot write {str(path)!r}: {error.strerror}"
        if isinstance(error, NotADirectoryError):
            problem = f"{str(path)!r} is not a folder (or is a symlink)"
        raise UsageError(problem, "Choose another folder with -o.") from error
