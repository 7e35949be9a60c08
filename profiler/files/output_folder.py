"""The output folder: files written by root for the user who called sudo, following no links.

The folder is opened once; every file is made under a new name inside it, given to the user, and
renamed over the old one, so a reader sees the old file or the new one. What another run wrote is
left as it is: then a folder or a file of the next number is taken.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from profiler.errors import UsageError
from profiler.files import folders
from profiler.files.owner import Owner, hand_over
from profiler.files.recording_file import FILE_NAME

_MODE = 0o644
_NUMBERS = range(2, 10_000)  # of runs in one folder, or files of one name


def never(_folder: OutputFolder) -> bool:
    """Return False: a run replaces no recording."""
    return False


@contextmanager
def output_folder(
    path: Path, owner: Owner | None, may_replace: Callable[[OutputFolder], bool] = never
) -> Iterator[OutputFolder]:
    """Open a folder to write outputs into; it is made, with its parents, unless it is there.

    If another run's recording is in it, its sub-folder `2` is taken, or the next that is free;
    `may_replace` says when that recording is the same. Until the block ends no other run takes the
    folder. Raises UsageError when the path is a link, is no folder, belongs to a third user, or
    cannot be written.
    """
    with ExitStack() as stack:
        with _explained(path):
            parent, _ = folders.open_parent(stack, path, owner)
            folder = _enter(stack, path, parent, owner)
            if not folder.take(may_replace):
                folder = _numbered(stack, folder, may_replace)
        yield folder


@contextmanager
def parent_folder(path: Path, owner: Owner | None) -> Iterator[OutputFolder]:
    """Open the folder that one file is to be written into; UsageError when that is impossible."""
    with ExitStack() as stack:
        with _explained(path):
            descriptor, _ = folders.open_parent(stack, path, owner)
            folders.require_writable(descriptor)
        yield OutputFolder(path.parent, owner, descriptor)


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that outputs are written into."""

    path: Path
    owner: Owner | None
    descriptor: int

    def take(self, may_replace: Callable[[OutputFolder], bool]) -> bool:
        """Keep other runs out as long as this is open; False when it is theirs already."""
        if not self._lock():
            return False
        if self._mode(FILE_NAME) is None or may_replace(self):
            return os.fstat(self.descriptor).st_nlink > 0  # 0: who made it took it away again
        with suppress(OSError):
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        return False

    @contextmanager
    def text(self, name: str) -> Iterator[TextIO]:
        """Open the file `name` as UTF-8; what UTF-8 cannot say is written as a backslash escape."""
        with self.binary(name) as out, as_text(out) as text:
            yield text

    @contextmanager
    def binary(self, name: str) -> Iterator[BinaryIO]:
        """Open the file `name`; it replaces the old one when the block ends without an error."""
        with _explained(self.path / name):
            self._check_replaceable(name)
            temporary = f".{name}.{secrets.token_hex(8)}"
            with self._written(self._create(temporary), temporary) as out:
                yield out
            here = self.descriptor
            os.rename(temporary, name, src_dir_fd=here, dst_dir_fd=here)

    @contextmanager
    def numbered(self, stem: str, extension: str) -> Iterator[tuple[str, BinaryIO]]:
        """Open a new file; while its name is taken, it gets a number before the extension."""
        names = (f"{stem}{number}{extension}" for number in ("", *(f"-{n}" for n in _NUMBERS)))
        with _explained(self.path / f"{stem}{extension}"):
            self._check_replaceable(f"{stem}{extension}")
            for name in names:
                with suppress(FileExistsError):
                    descriptor = self._create(name)
                    break
            else:
                raise _too_many()
            with self._written(descriptor, name) as out:
                yield name, out

    def _lock(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks
        return True

    def _create(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self.descriptor)

    @contextmanager
    def _written(self, descriptor: int, name: str) -> Iterator[BinaryIO]:
        """Write a new file, which is taken away if that fails."""
        try:
            with os.fdopen(descriptor, "wb") as out:
                yield out
                out.flush()
                hand_over(descriptor, _MODE, self.owner)
                os.fsync(descriptor)
        except BaseException:
            os.unlink(name, dir_fd=self.descriptor)
            raise

    def _check_replaceable(self, name: str) -> None:
        mode = self._mode(name)
        if mode is not None and not stat.S_ISREG(mode):
            raise UsageError(
                f"{str(self.path / name)!r} is not a file (or is a symlink), it is not replaced",
                "Remove it, or choose another folder with -o.",
            )

    def _mode(self, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None


@contextmanager
def as_text(out: BinaryIO) -> Iterator[TextIO]:
    """Write UTF-8 into a binary stream; what UTF-8 cannot say becomes a backslash escape."""
    text = io.TextIOWrapper(out, "utf-8", errors="backslashreplace", newline="\n")
    yield text
    text.flush()
    text.detach()


def _enter(stack: ExitStack, path: Path, parent: int, owner: Owner | None) -> OutputFolder:
    descriptor = folders.enter(stack, path.absolute(), parent, owner)
    folders.require_writable(descriptor)
    return OutputFolder(path, owner, descriptor)


def _numbered(
    stack: ExitStack, folder: OutputFolder, may_replace: Callable[[OutputFolder], bool]
) -> OutputFolder:
    """Return the first sub-folder that is free."""
    for number in _NUMBERS:
        with ExitStack() as attempt:
            path = folder.path / str(number)
            opened = _enter(attempt, path, folder.descriptor, folder.owner)
            if opened.take(may_replace):
                stack.callback(attempt.pop_all().close)
                return opened
    raise _too_many()


def _too_many() -> OSError:
    return OSError(errno.EEXIST, "there are too many results of that name")


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
