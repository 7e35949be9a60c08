"""Signals that end a recording early, or a run that has not begun to record."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from profiler.record.progress import Stop


@contextmanager
def stopping(acknowledge: Callable[[], None]) -> Iterator[Stop]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into an early end; the second Ctrl-C aborts.

    So does the first before anything was recorded. `acknowledge` is called in the signal's handler.
    """
    stop = Stop()

    def abort() -> None:
        # The probes are taken away in peace, however often somebody presses the keys.
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.reason is not None or not stop.has_begun:
            abort()
        stop.reason = "interrupt" if number == signal.SIGINT else "termination"
        if number == signal.SIGINT:
            acknowledge()

    def on_hangup(_number: int, _frame: FrameType | None) -> None:
        if not stop.has_begun:
            abort()
        stop.reason = stop.reason or "hangup"

    previous = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as it is under nohup
        # To the end: terminal and shell send one each, and the results are still to be written.
        signal.signal(signal.SIGHUP, on_hangup)
    yield stop
    # Not after an abort: what comes then is only the end of this process.
    for number, handler in previous.items():
        signal.signal(number, handler)
