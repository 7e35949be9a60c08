from __future__ import annotations

import os
import signal

import pytest

from profiler.cli.signals import stopping


def test_the_first_signal_stops_and_the_second_aborts() -> None:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyboardInterrupt), stopping() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.reason == "interrupt"
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # what comes after an abort does nothing
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_the_end_of_the_connection_stops_unless_nohup_wants_otherwise() -> None:
    kept = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.reason is None
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.reason == "hangup"
        os.kill(os.getpid(), signal.SIGHUP)  # while the results are written
    finally:
        signal.signal(signal.SIGHUP, kept)


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "termination"
    assert signal.getsignal(signal.SIGINT) is before
