from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.threads import threads
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Thread, ThreadPath
from profiler.model.subject import Subject
from tests.examples import empty, with_threads

MONITOR = Thread(12, "asterisk", "do_monitor (chan_sip.so)", 0.8, None, 80)


def found(*those: Thread) -> list[Finding]:
    return list(threads(with_threads(empty(), *those)))


def session(tid: int, cpu_ratio: float, run_delay_ratio: float) -> Thread:
    return Thread(tid, "asterisk", "session", cpu_ratio, run_delay_ratio, 10)


def test_a_busy_thread() -> None:
    (finding,) = found(MONITOR)
    assert (finding.id, finding.severity) == ("busy-thread", Severity.SATURATED)
    assert finding.title == "thread 12 do_monitor (chan_sip.so): uses 80 % of a CPU"
    assert finding.advice.endswith("see its flame graph.")
    assert finding.subject == Subject(tids=(12,))
    assert found(replace(MONITOR, cpu_ratio=0.79)) == []


def with_path(path: ThreadPath, thread: Thread = MONITOR) -> Finding:
    profile = with_threads(empty(), thread)
    (group,) = profile.thread_groups
    (finding,) = threads(replace(profile, thread_groups=(replace(group, paths=(path,)),)))
    return finding


def test_a_busy_thread_shows_its_heaviest_path() -> None:
    finding = with_path(ThreadPath(("handle_request", "ao2_find"), 0.62))
    assert finding.evidence == ("80 samples", "62 % in handle_request > ao2_find")


def test_a_busy_loop_is_found_however_little_it_can_run() -> None:
    path = ThreadPath(("wait", "poll"), 0.62, busy_loop_ratio=0.9)
    finding = with_path(path, replace(MONITOR, cpu_ratio=0.1, run_delay_ratio=0.9))
    assert finding.title == "thread 12 do_monitor (chan_sip.so): a busy loop uses 10 % of a CPU"
    assert finding.evidence[1] == "waited for a CPU 90 % of the time"


def test_a_busy_loop_has_advice_of_its_own() -> None:
    finding = with_path(ThreadPath(("wait", "poll"), 0.62, busy_loop_ratio=0.9))
    assert "(busy loop: 90 % of the time in poll and its callers)" in finding.evidence[1]
    assert finding.advice.startswith("It asks again and again in place of waiting")


def test_threads_are_saturated_only_if_each_of_them_fills_its_cpu() -> None:
    def severity(cpu_ratio: float) -> Severity:
        (finding,) = found(*(session(tid, cpu_ratio, 0.0) for tid in (1, 2, 3, 4)))
        assert finding.id == "busy-thread"
        return finding.severity

    assert [severity(0.8), severity(0.79)] == [Severity.SATURATED, Severity.CPU]


def test_a_busy_loop_that_hardly_runs_is_not_saturated() -> None:
    path = ThreadPath(("wait", "poll"), 0.62, busy_loop_ratio=0.9)
    finding = with_path(path, replace(MONITOR, cpu_ratio=0.1, run_delay_ratio=0.9))
    assert finding.severity is Severity.CPU


def test_a_thread_that_waits_for_a_cpu() -> None:
    (finding,) = found(session(12, 0.3, 0.2))
    assert (finding.id, finding.severity) == ("waiting-thread", Severity.WAITING)
    assert finding.title == "thread 12 session: waited for a CPU 20 % of the time"
    assert finding.subject == Subject(tids=(12,))
    assert found(session(12, 0.3, 0.19)) == []


def test_alike_threads_are_one_finding() -> None:
    (waiting,) = found(*(session(tid, 0.012, 0.96) for tid in range(60)))
    assert waiting.title == "60 threads session: each waited for a CPU 96 % of the time"
    assert waiting.evidence == ("they used 72 % of a CPU together",)
    (busy,) = found(*(session(tid, 0.014, 0.96) for tid in range(60)))
    assert busy.title == "60 threads session: use 84 % of a CPU together"
    assert busy.evidence == ("600 samples", "each waited for a CPU 96 % of the time")
    assert busy.cpu_ratio == pytest.approx(0.84)


def test_others_that_wait_are_one_finding() -> None:
    crowd = (session(tid, 0.005, 0.25) for tid in range(60))
    others = (replace(session(100 + n, 0.1, 0.3 + n / 100), role=f"r{n}") for n in range(3))
    (finding,) = found(*crowd, *others)
    assert finding.title == "63 threads waited for a CPU, up to 32 % of the time"
    assert finding.evidence == (
        "thread 102 r2: 32 % of the time; it used 10 % of a CPU",
        "thread 101 r1: 31 % of the time; it used 10 % of a CPU",
        "thread 100 r0: 30 % of the time; it used 10 % of a CPU",
        "and others: see HOT THREADS",
    )


def test_advice_leads_to_no_idle_thread_and_not_to_the_one_that_waits() -> None:
    waits = session(12, 0.4, 0.3)
    for other_ratio, advice in (
        (0.29, "Asterisk used 69 % of a CPU, so other processes hold the CPUs: see top(1)."),
        (0.3, "Asterisk used 70 % of a CPU, first thread 12 do_monitor (chan_sip.so); top(1) "),
    ):
        (finding,) = found(waits, replace(MONITOR, cpu_ratio=other_ratio))
        assert finding.advice.startswith(advice)


def test_nothing_is_found_in_nothing() -> None:
    assert found() == []
