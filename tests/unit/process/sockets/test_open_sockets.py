from __future__ import annotations

import os
import socket
from pathlib import Path

from profiler.process.sockets.open_sockets import OpenSockets


def test_inodes_are_those_of_open_sockets() -> None:
    opened = OpenSockets(os.getpid())
    left, right = socket.socketpair()
    inodes = {os.fstat(left.fileno()).st_ino, os.fstat(right.fileno()).st_ino}
    assert inodes <= opened.look()
    left.close()
    right.close()
    assert not inodes & opened.look()
    assert opened.begun == opened.ended == 2
    opened.close()


def test_a_process_that_is_gone_has_none() -> None:
    opened = OpenSockets(2**22 + 1)
    assert opened.look() == frozenset()
    assert opened.ended == 0
    opened.close()


def test_one_that_ends_while_it_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "7" / "fd"
    folder.mkdir(parents=True)
    for number in range(4):
        (folder / str(number)).symlink_to(f"socket:[{number}]")
    opened = OpenSockets(7, tmp_path)
    assert len(opened.look(1)) == 1
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert opened.look() == opened.look() == frozenset()
    opened.close()


def test_a_round_meets_every_descriptor_once(tmp_path: Path) -> None:
    folder = tmp_path / "7" / "fd"
    folder.mkdir(parents=True)
    for number in range(10):
        (folder / str(number)).symlink_to(f"socket:[{number}]" if number % 2 else "pipe:[3]")
    opened = OpenSockets(7, tmp_path)
    found: list[int] = []
    while not opened.ended:
        found += opened.look(3)
    assert sorted(found) == [1, 3, 5, 7, 9]
    assert opened.begun == 1
    assert opened.look(3)
    assert opened.begun == 2
    opened.close()
