"""Work that a thread does meanwhile, where most of it is waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """One call of a function, in a thread that does not keep the process from ending."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()
        try:
            threading.Thread(target=self._run, daemon=True).start()
        except RuntimeError:  # there is no thread left for us
            self._run()

    def result(self, timeout_s: float | None = None) -> T:
        """Wait for the result, once; raises what the function raised, or TimeoutError."""
        try:
            found, error = self._done.get(timeout=timeout_s)
        except Empty:
            raise TimeoutError from None
        if error is not None:
            raise error
        return found[0]

    def _run(self) -> None:
        try:
            self._done.put(([self._work()], None))
        except BaseException as error:  # it is raised where the result is asked for
            self._done.put(([], error))
