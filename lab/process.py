"""Processes that live in a root directory, found by that root and by nothing else."""

import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")


def in_root(root: Path) -> list[int]:
    """Return the pids whose root directory is exactly root, lowest first.

    Compared by device and inode, so neither a name nor a reused pid can be mistaken for ours.
    A process counts as long as one of its threads lives: its files are open until then.
    """
    try:
        wanted = root.stat()
    except FileNotFoundError:
        return []
    return sorted(
        int(entry.name)
        for entry in PROC.iterdir()
        if entry.name.isdigit() and has_root(entry, wanted.st_dev, wanted.st_ino)
    )


def has_root(process: Path, device: int, inode: int) -> bool:
    """Return whether the first living thread of a process has that root directory."""
    try:
        threads = sorted((process / "task").iterdir())
    except OSError:
        return False
    for thread in threads:
        try:
            status = (thread / "root").stat()
        except OSError:
            # a thread that has ended, the first one too when others still have to
            continue
        return (status.st_dev, status.st_ino) == (device, inode)
    return False


def name(pid: int) -> str:
    """Return the process's name, "" when it is gone."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each of the pids that still exists."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def ended(pid: int) -> bool:
    """Return whether every thread of a process has ended: its files and sockets are closed then."""
    for path in (PROC / str(pid) / "task").glob("*/stat"):
        try:
            state = path.read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in ("Z", "X"):
            return False
    return True


def wait_gone(root: Path, seconds: float) -> bool:
    """Return whether no process of the root is left within the given seconds."""
    deadline = time.monotonic() + seconds
    pids: set[int] = set()
    while True:
        # A thread lets go of its root a moment before it closes its sockets.
        pids.update(in_root(root))
        if all(ended(pid) for pid in pids):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
