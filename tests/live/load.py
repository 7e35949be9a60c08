"""Load on an Asterisk while it is profiled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.instance import Instance
from tests.groundtruth import box


@contextmanager
def storm(asterisk: Instance, name: str, elements: int, threads: int) -> Iterator[None]:
    """Let threads look up at full speed in a container of 7 buckets, all of them hits."""
    with box(asterisk, name, f"hash 7 {elements}") as target:
        run = target.begin("hit", threads=threads)
        try:
            yield
        finally:
            target.end(run)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Let something be done again and again on a thread of its own until the block ends."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            work()

    worker = threading.Thread(target=repeat)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()
