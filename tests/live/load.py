"""Load on an Asterisk while it is profiled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.errors import LabError
from lab.instance import Instance

_SECONDS = 600  # until a storm ends by itself


@contextmanager
def storm(asterisk: Instance, name: str, elements: int, threads: int) -> Iterator[None]:
    """Let threads look up at full speed in a container of 7 buckets, all of them hits."""
    asterisk.groundtruth(f"make {name} hash 7 {elements}")
    run = asterisk.groundtruth(f"storm {name} {threads} {_SECONDS}")["run"]
    try:
        yield
    finally:
        asterisk.groundtruth(f"stop {run}")
        _free(asterisk, name)


def _free(asterisk: Instance, name: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            asterisk.groundtruth(f"free {name}")
            return
        except LabError:  # its threads have not ended yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Let something be done on a thread of its own, and wait for its end."""
    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        worker.join()
