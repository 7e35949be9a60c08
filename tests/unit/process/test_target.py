from __future__ import annotations

import ctypes
import os

import pytest

from profiler.process.procfs import read_process
from profiler.process.target import TargetProcess


@pytest.mark.root
def test_all_readers_are_of_the_same_process() -> None:
    us = read_process(os.getpid())
    assert us is not None
    target = TargetProcess.open(us.pid, us.stat.start_ticks)
    kept = ctypes.create_string_buffer(b"in our memory")
    assert (target.pid, target.start_ticks) == (os.getpid(), us.stat.start_ticks)
    assert target.memory.read(ctypes.addressof(kept), 13) == b"in our memory"
    assert target.clock.read_ns() > 0
    target.code.refresh()
    assert target.code.current
