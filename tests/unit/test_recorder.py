from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from profiler import recorder
from profiler.preparation import Options
from profiler.recorder import Progress, _Run

SECOND_NS = 1_000_000_000


class Part:
    """Any part of a run; notes by name what is called, and answers with what it was given."""

    def __init__(self, calls: list[str], name: str, **attributes: Any) -> None:
        self._calls = calls
        self._name = name
        self.warning: str | None = None
        self.__dict__.update(attributes)

    def __getattr__(self, method: str) -> Any:
        def call(*_: object) -> Any:
            self._calls.append(f"{self._name}.{method}")
            return ()

        return call


def run_of(calls: list[str], **parts: Any) -> _Run:
    """Return a run of parts that only take note."""
    names = _Run.__dataclass_fields__.keys() - {"start_ns", "end_ns", "exited", "stopped_by"}
    made = {name: Part(calls, name) for name in names - {"warnings"}}
    return _Run(**{**made, "warnings": [], **parts})


def test_progress_counts_each_lookup_of_a_window_that_went_on_once() -> None:
    # What the kernel admitted since the window was opened goes on growing when it is settled.
    windows = [
        SimpleNamespace(state=SimpleNamespace(admitted=total), admitted=new)
        for total, new in ((10, 10), (15, 5), (18, 3))
    ]
    calls: list[str] = []
    run = run_of(
        calls,
        sampler=Part(calls, "sampler", samples=[]),
        lookups=Part(calls, "lookups", windows=windows),
        governor=SimpleNamespace(spent_ns=0),
    )
    shown: list[Progress] = []
    recorder._drain(run, shown.append, Options(duration_ns=SECOND_NS), SECOND_NS)
    assert [progress.lookups for progress in shown] == [18]
