"""How many files this process may have open: each CPU and each mapped file needs one."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_open_files_limit() -> None:
    """Allow as many open files as the hard limit does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
