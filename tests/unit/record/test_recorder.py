from __future__ import annotations

import os
import select
import time
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.errors import TargetError
from profiler.model.observed import Observed
from profiler.record import recorder
from profiler.record.collection import collect
from profiler.record.preparation import lookups as lookup_preparation
from profiler.record.preparation.run import Run
from profiler.record.preparation.sampling import Options
from profiler.record.progress import Progress, Stop
from profiler.sampling.bounded_samples import BoundedSamples

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


def run_of(calls: list[str], **parts: Any) -> Run:
    """Return a run of parts that only take note."""
    names = Run.__dataclass_fields__.keys() - {
        "start_ns",
        "end_ns",
        "until_ns",
        "exited",
        "stopped_by",
        "code_due_ns",
        "least_code_due_ns",
    }
    made = {name: Part(calls, name) for name in names - {"warnings"}}
    return Run(**{**made, "warnings": [], **parts})


def test_progress_counts_the_lookups_of_all_windows_and_samples_that_were_not_kept() -> None:
    samples = BoundedSamples(most=4)
    for number in range(10):
        samples.add(number, 0, 0)
    calls: list[str] = []
    run = run_of(
        calls,
        sampler=Part(calls, "sampler", samples=samples),
        lookups=Part(
            calls,
            "lookups",
            admitted=18,
            containers=Part(calls, "containers"),
        ),
        governor=SimpleNamespace(spent_ns=0),
    )
    shown: list[Progress] = []
    recorder._drain(run, shown.append, SECOND_NS)
    assert [(progress.samples, progress.lookups) for progress in shown] == [(10, 18)]
    assert calls.index("containers.look") < calls.index("followed.look")


def collected(monkeypatch: pytest.MonkeyPatch, run: Run, closing_ns: int) -> Observed:
    """Collect a run that has come to 10 s, and whose probes are gone so much later."""
    now = [10 * SECOND_NS]
    finish = run.lookups.finish  # type: ignore[union-attr]

    def close() -> None:
        finish()
        now[0] += closing_ns

    monkeypatch.setattr(run.lookups, "finish", close, raising=False)
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(collect, "collect_lookups", lambda *_: None)
    return recorder._collect(run)


def finished(calls: list[str]) -> SimpleNamespace:
    calls.append("tasks.finish")
    return SimpleNamespace(problem=None)


def test_samples_and_cpu_time_end_together_once_the_probes_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    run = run_of(
        calls,
        sampler=Part(calls, "sampler", samples=BoundedSamples()),
        lookups=Part(calls, "lookups", problem=None),
        off_cpu=Part(calls, "off_cpu", finish=lambda _: calls.append("off_cpu.finish")),
        tasks=Part(calls, "tasks", finish=lambda: finished(calls)),
        links=Part(calls, "links", finish=lambda: calls.append("links.finish")),
        process=Part(calls, "process", code=Part(calls, "code")),
        governor=SimpleNamespace(spent_ns=0),
        sampling=Part(calls, "sampling", charged_ns=0),
    )
    observed = collected(monkeypatch, run, SECOND_NS // 8)
    assert observed.window.end_ns == 10 * SECOND_NS + SECOND_NS // 8
    assert calls[:4] == ["lookups.finish", "off_cpu.finish", "tasks.finish", "links.finish"]
    assert calls[4:6] == ["uses.stop", "sampler.detach"]
    assert calls.index("sockets.sample") < calls.index("followed.look")


def run_with(calls: list[str], there: str) -> Run:
    """Return a run that has this one part of the measurement, which is due each second."""

    def step(now_ns: int) -> int:
        calls.append(f"{there}.step")
        return now_ns + SECOND_NS

    part = Part(calls, there, step=step, is_brief=False, gone=False)
    parts = {"lookups": None, "tasks": None, "links": None, "off_cpu": None, there: part}
    times = {"start_ns": SECOND_NS, "until_ns": 60 * SECOND_NS, "code_due_ns": 60 * SECOND_NS}
    return run_of(calls, **parts, **times)


@pytest.mark.parametrize("there", ["lookups", "tasks", "links"])
def test_the_recorder_sleeps_also_where_parts_are_missing(
    monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    """Where it did not, it used a whole CPU on targets whose task processors are not understood."""
    run = run_with([], there)
    slept: list[int] = []

    def wait(run: Run, until_ns: int) -> bool:
        slept.append(until_ns - SECOND_NS)
        run.exited = len(slept) == 4
        return True  # a window has to be closed

    monkeypatch.setattr(time, "monotonic_ns", lambda: SECOND_NS)
    monkeypatch.setattr(recorder, "_wait", wait)
    monkeypatch.setattr(recorder, "_drain", lambda *_: None)
    monkeypatch.setattr(recorder, "_observe", lambda *_: None)
    recorder.run_until_end(run, Stop(), lambda _: None)
    assert min(slept[1:]) > 0  # the first time what is slow is done at once, and only that


def test_what_is_slow_is_over_before_the_first_window_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first report loads modules for 0.2 s: an open window cost all that lookups may."""
    calls: list[str] = []
    run = run_with(calls, "lookups")

    def wait(run: Run, _: int) -> bool:
        run.exited = "lookups.step" in calls
        return False

    monkeypatch.setattr(time, "monotonic_ns", lambda: SECOND_NS)
    monkeypatch.setattr(recorder, "_wait", wait)
    for slow in ("_drain", "_observe"):
        monkeypatch.setattr(recorder, slow, lambda *_, slow=slow: calls.append(slow))
    recorder.run_until_end(run, Stop(), lambda _: None)
    assert calls[:3] == ["_drain", "_observe", "lookups.step"]


@pytest.mark.parametrize("error", [TargetError("gone", ""), ProcessLookupError(3, "gone")])
def test_a_target_that_ends_while_lookups_are_prepared_keeps_its_samples(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    calls: list[str] = []
    target: Any = SimpleNamespace(process=None)
    process = Part(calls, "process", clock=Part(calls, "clock"))
    run = run_of(calls, lookups=None, lookup_setup=None, process=process)
    monkeypatch.setattr(lookup_preparation, "prepare_lookups", refuse)
    monkeypatch.setattr(recorder, "is_running", lambda *_: False)
    recorder.begin_lookups(ExitStack(), run, target, Options(duration_ns=SECOND_NS))
    assert (run.exited, run.lookups) == (True, None)
    monkeypatch.setattr(recorder, "is_running", lambda *_: True)
    with pytest.raises(type(error)):
        recorder.begin_lookups(ExitStack(), run, target, Options(duration_ns=SECOND_NS))


@pytest.mark.parametrize(("changed", "pause_ns"), [(False, 5_000_000), (True, 50_000_000)])
def test_code_that_is_mapped_is_read_soon_but_not_for_every_mapping(
    monkeypatch: pytest.MonkeyPatch, changed: bool, pause_ns: int
) -> None:
    calls: list[str] = []
    now = [10 * SECOND_NS]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    code = SimpleNamespace(refresh=lambda: changed, current=())
    run = run_of(
        calls,
        mappings=SimpleNamespace(has_mapped=lambda: True),
        process=SimpleNamespace(code=code),
        setup=SimpleNamespace(tables=Part(calls, "tables")),
        code_due_ns=11 * SECOND_NS,
        least_code_due_ns=0,
    )
    recorder._read_events(run)
    assert run.code_due_ns == now[0]
    recorder._follow_code(run)
    assert run.code_due_ns == now[0] + SECOND_NS
    recorder._read_events(run)
    assert run.code_due_ns == now[0] + pause_ns
    assert calls.count("tables.update") == calls.count("names.pin") == int(changed)


@pytest.mark.parametrize("is_of_target", [False, True])
def test_only_code_of_the_target_ends_the_waiting(is_of_target: bool) -> None:
    calls: list[str] = []
    mapped, ended = os.eventfd(1), os.eventfd(0)

    def has_mapped() -> bool:
        answer = bool(select.select([mapped], (), (), 0)[0])
        if answer:
            os.eventfd_read(mapped)
        return answer and is_of_target

    run = run_of(
        calls,
        lookups=None,
        tasks=None,
        links=None,
        mappings=SimpleNamespace(descriptor=mapped, has_mapped=has_mapped),
        events=Part(calls, "events", exit_descriptor=ended),
        code_due_ns=0,
        least_code_due_ns=0,
    )
    assert not recorder._wait(run, time.monotonic_ns() + 20_000_000)
    looked_at = ["events.is_over", "uses.observe", "starts.observe"]
    assert calls == (looked_at if is_of_target else [])
    os.close(mapped)
    os.close(ended)


@pytest.mark.parametrize(
    ("restarted", "stopped_by"), [(True, "target restart"), (False, "target exit")]
)
def test_a_restart_is_told_from_an_end(restarted: bool, stopped_by: str) -> None:
    calls: list[str] = []
    run = run_of(
        calls,
        exited=True,
        until_ns=0,
        start_ns=0,
        lookups=None,
        tasks=None,
        links=None,
        events=SimpleNamespace(has_restarted=lambda: restarted),
    )
    recorder.run_until_end(run, Stop(), lambda _: None)
    assert run.stopped_by == stopped_by


@pytest.mark.parametrize(
    ("is_over", "read"), [(True, ["memory.give_up"]), (False, ["code.refresh"])]
)
def test_of_another_program_nothing_is_read(is_over: bool, read: list[str]) -> None:
    calls: list[str] = []
    process: Any = SimpleNamespace(memory=Part(calls, "memory"), code=Part(calls, "code"))
    events: Any = SimpleNamespace(is_over=lambda: is_over)
    recorder._read_last(process, events)
    assert calls == read
