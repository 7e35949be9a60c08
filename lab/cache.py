"""Where the lab keeps what it downloaded and what it started, and the locks that guard it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENT = "EBPF_PROF_LAB"


def directory() -> Path:
    """Return the lab's directory: $EBPF_PROF_LAB, else ~/.cache/ebpf-prof-lab."""
    configured = os.environ.get(ENVIRONMENT)
    return Path(configured).absolute() if configured else Path.home() / ".cache/ebpf-prof-lab"


def roots() -> Path:
    """Return the directory of unpacked roots, one per kind."""
    return directory() / "roots"


def instances() -> Path:
    """Return the directory of instances, one per name."""
    return directory() / "instances"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock called name for the length of the block, across processes."""
    path = directory() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
