from __future__ import annotations

import threading

import pytest

from profiler.background import Background


def test_work_is_done_meanwhile() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait()
        return "done"

    background = Background(work)
    begun.wait()
    go_on.set()
    assert background.result() == "done"


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    background = Background(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        background.result()


def test_waiting_for_the_result_may_be_bounded() -> None:
    background = Background(threading.Event().wait)
    with pytest.raises(TimeoutError):
        background.result(0.01)


def test_without_a_thread_the_work_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Background(lambda: 7).result() == 7
