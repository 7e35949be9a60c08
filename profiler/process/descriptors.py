"""How many descriptors the target has open, of those that it may."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from profiler.model.recording import Descriptors
from profiler.process.procfs import PROC, read_text

_LIMIT = re.compile(r"^Max open files +(\d+) ", re.MULTILINE)


def parse_limit(limits: str) -> int | None:
    """Return the soft limit of open files in /proc/PID/limits; None if there is none."""
    found = _LIMIT.search(limits)
    return None if found is None else int(found[1])


def _size(folder: Path) -> int:
    return folder.stat().st_size


class OpenDescriptors:
    """Counts when it is made; call sample() now and then, and count() at the end."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._folder = proc / str(pid)
        self._most = 0
        self._limit: int | None = None
        self.count()

    def sample(self) -> None:
        """Count them where that is cheap.

        Linux 6.2 and later say the number as the folder's size (commit f1f1f2569901).
        """
        with suppress(OSError):  # it ended
            self._most = max(self._most, _size(self._folder / "fd"))

    def count(self) -> None:
        """Count them on any kernel, and read the limit."""
        self.sample()
        with suppress(OSError):
            if not _size(self._folder / "fd"):
                with os.scandir(self._folder / "fd") as entries:
                    self._most = max(self._most, sum(1 for _ in entries))
            self._limit = parse_limit(read_text(self._folder / "limits"))

    def recorded(self) -> Descriptors | None:
        """Return the most that were seen, and the limit; None if that is not known."""
        return None if self._limit is None else Descriptors(self._most, self._limit)
