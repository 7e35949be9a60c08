"""Processes that live in a root directory, found by that root and by nothing else."""

import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")


def in_root(root: Path) -> list[int]:
    """Return the pids whose root directory is exactly root, lowest first.

    Compared by device and inode, so neither a name nor a re-used pid can be mistaken for ours.
    """
    try:
        wanted = root.stat()
    except FileNotFoundError:
        return []
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "root").stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(int(entry.name))
    return sorted(found)


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


def wait_gone(root: Path, seconds: float) -> bool:
    """Return whether no process of the root is left within the given seconds."""
    deadline = time.monotonic() + seconds
    while in_root(root):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
