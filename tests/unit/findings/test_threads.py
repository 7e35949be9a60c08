from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.threads import threads
from profiler.model.profile import Finding, Severity, Thread, ThreadPath
from tests.examples import empty, with_threads

MONITOR = Thread(12, "asterisk", "do_monitor (chan_sip.so)", 0.8, None, 80)


def found(*those: Thread) -> list[Finding]:
    return list(threads(with_threads(empty(), *those)))


def session(tid: int, cpu_ratio: float, run_delay_ratio: float) -> Thread:
    return Thread(tid, "asterisk", "session", cpu_ratio, run_delay_ratio, 10)


def test_a_busy_thread() -> None:
    (finding,) = found(MONITOR)
    assert (finding.id, finding.severity) == ("busy-thread", Severity.CPU)
    assert finding.title == "thread 12 do_monitor (chan_sip.so): uses 80 % of a CPU"
    assert finding.advice.endswith("see its flame graph.")
    assert found(replace(MONITOR, cpu_ratio=0.79)) == []


def with_path(path: ThreadPath) -> Finding:
    profile = with_threads(empty(), MONITOR)
    (group,) = profile.thread_groups
    (finding,) = threads(replace(profile, thread_groups=(replace(group, paths=(path,)),)))
    return finding


def test_a_busy_thread_shows_its_heaviest_path() -> None:
    finding = with_path(ThreadPath(("handle_request", "ao2_find"), 0.62))
    assert finding.evidence == ("80 samples", "62 % in handle_request > ao2_find")


def test_a_busy_loop_has_advice_of_its_own() -> None:
    finding = with_path(ThreadPath(("wait", "poll"), 0.62, busy_loop_ratio=0.9))
    assert "(busy loop: 90 % of the time in poll and its callers)" in finding.evidence[1]
    assert finding.advice.startswith("It asks again and again in place of waiting")


def test_a_thread_that_waits_for_a_cpu() -> None:
    (finding,) = found(session(12, 0.3, 0.2))
    assert (finding.id, finding.severity) == ("waiting-thread", Severity.WAITING)
    assert finding.title == "thread 12 session: waited for a CPU 20 % of the time"
    assert found(session(12, 0.3, 0.19)) == []


def test_alike_threads_are_one_finding() -> None:
    (waiting,) = found(*(session(tid, 0.012, 0.96) for tid in range(60)))
    assert waiting.title == "60 threads session: each waited for a CPU 96 % of the time"
    assert waiting.evidence == ("they used 72 % together of a CPU",)
    (busy,) = found(*(session(tid, 0.014, 0.96) for tid in range(60)))
    assert busy.title == "60 threads session: use 84 % of a CPU together"
    assert busy.evidence == ("600 samples", "each waited for a CPU 96 % of the time")
    assert busy.cpu_ratio == pytest.approx(0.84)


def test_advice_leads_to_no_idle_thread() -> None:
    waits = session(12, 0.01, 0.3)
    assert "Other processes hold the CPUs" in found(waits)[0].advice
    (finding,) = found(waits, replace(MONITOR, cpu_ratio=0.4))
    assert "first thread 12 do_monitor (chan_sip.so)" in finding.advice


def test_nothing_is_found_in_nothing() -> None:
    assert found() == []
