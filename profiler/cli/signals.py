"""Signals that end a recording early."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from profiler.record.progress import Stop


@contextmanager
def stopping() -> Iterator[Stop]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into an early end; the second Ctrl-C aborts."""
    stop = Stop()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.reason is not None:
            # The probes are taken away in peace, however often somebody presses the keys.
            for one in previous:
                signal.signal(one, signal.SIG_IGN)
            raise KeyboardInterrupt
        stop.reason = "interrupt" if number == signal.SIGINT else "termination"

    def on_hangup(_number: int, _frame: FrameType | None) -> None:
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
