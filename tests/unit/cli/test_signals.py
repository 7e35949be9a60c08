from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from profiler.cli.signals import stopping

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def nothing() -> None:
    pass


def test_the_first_signal_stops_and_the_second_aborts() -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), stopping(lambda: said.append("yes")) as stop:
        stop.has_begun = True
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop.reason, said) == ("interrupt", ["yes"])
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)  # what comes after an abort does nothing
    assert said == ["yes"]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_aborts_what_has_not_begun(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), stopping(lambda: said.append("yes")):
        os.kill(os.getpid(), number)
    for again in NUMBERS:
        os.kill(os.getpid(), again)
    assert said == []


def test_the_end_of_the_connection_stops_unless_nohup_wants_otherwise() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopping(nothing) as stop:
        stop.has_begun = True
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.reason is None
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with stopping(nothing) as stop:
        stop.has_begun = True
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.reason == "hangup"
    os.kill(os.getpid(), signal.SIGHUP)  # while the results are written


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping(nothing) as stop:
        stop.has_begun = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "termination"
    assert signal.getsignal(signal.SIGINT) is before
