from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.ranking import find
from profiler.findings.tasks import tasks
from profiler.model.finding import Finding, Severity
from profiler.model.tasks import Tasks, TaskThread
from tests import task_examples as t
from tests.examples import empty


def found(known: Tasks) -> list[Finding]:
    return list(tasks(replace(empty(), tasks=t.shown(known))))


def test_a_healthy_busy_pbx_is_nothing() -> None:
    assert found(t.healthy()) == []
    assert list(tasks(empty())) == []
    assert found(t.tasks((), ())) == []


def test_one_function_that_holds_up_the_queue_is_named() -> None:
    (finding,) = found(t.held_up())
    assert finding.id == "slow-task"
    assert finding.title == (
        "pjsip/distributor-0000001a: tasks wait up to 1.9 s behind slow_lookup"
    )
    assert "slow_lookup runs 2 s typically, 2 s at most, pushed by distributor" in finding.evidence
    assert finding.subject.queues == ("pjsip/distributor-0000001a",)


def test_tasks_that_come_too_fast_are_found_by_how_long_they_wait() -> None:
    (finding,) = found(t.overrun())
    assert (finding.id, finding.severity) == ("queue-wait", Severity.WAITING)
    assert "tasks wait up to 2.4 s before they run" in finding.title
    assert "up to 420 waited at once" in finding.evidence
    assert "420 had not begun at the end, one for 2.4 s" in finding.evidence
    assert "dispatch_message" in finding.advice


@pytest.mark.parametrize(("wait_ms", "count"), [(500, 1), (499, 0)])
def test_a_wait_is_long_when_a_sip_request_is_sent_again(wait_ms: int, count: int) -> None:
    late = t.group(0, (wait_ms * t.MS,) * 10, (t.MS,) * 10)
    assert len(found(t.tasks((t.processor("a", 9),), (late,)))) == count


def test_fewer_than_one_of_a_hundred_that_wait_are_no_reason() -> None:
    few = t.group(0, (t.MS,) * 995 + (t.S,) * 5, (t.MS,) * 1_000)
    assert found(t.tasks((t.processor("a", 9),), (few,))) == []


def test_a_slow_task_that_nobody_waits_for_is_nothing() -> None:
    alone = t.group(0, (t.MS,), (5 * t.S,), t.SLOW)
    assert found(t.tasks((t.processor("a", 0),), (alone,))) == []


def test_what_is_slow_elsewhere_holds_nobody_up() -> None:
    slow = t.group(0, (t.MS,), (5 * t.S,), t.SLOW)
    late = t.group(1, (2 * t.S,) * 5, (t.MS,) * 5)
    alike = (t.processor("stasis/a-00000001", 0), t.processor("stasis/a-00000002", 0))
    assert [one.id for one in found(t.tasks(alike, (slow, late)))] == ["queue-wait"]


def test_a_task_that_does_not_end_holds_up_those_behind_it() -> None:
    endless = t.group(0, (), (), t.SLOW, running=1, begun=1)
    behind = t.group(0, (), (), pushed=30, waiting=30, longest_waiting_ns=4 * t.S)
    (finding,) = found(t.tasks((t.processor("a", *range(30)),), (endless, behind)))
    assert finding.id == "slow-task"
    assert "slow_lookup did not end, pushed by stasis_publish" in finding.evidence


def test_tasks_that_nobody_executes_are_found_by_looks_alone() -> None:
    (finding,) = found(t.stuck())
    assert (finding.id, finding.severity) == ("queue-wait", Severity.SATURATED)
    assert finding.title.endswith("7 tasks or more wait, and none was executed")
    assert "ebpf-prof waits" in finding.advice


def test_within_short_windows_nothing_is_stuck() -> None:
    assert found(replace(t.stuck(), covered_ns=100 * t.MS)) == []


def test_a_queue_over_its_mark_lets_pjsip_refuse_requests() -> None:
    (finding,) = found(t.held_up())
    assert finding.severity is Severity.LOST
    assert any("reached the high water mark, 500" in line for line in finding.evidence)
    assert any("taskprocessor_overload_trigger" in line for line in finding.evidence)


@pytest.mark.parametrize(
    ("name", "longest", "count"),
    [("stasis/p:x", 499, 0), ("stasis/p:x", 500, 1), ("stasis/m:cdr:aggregator-00000007", 999, 0)],
)
def test_the_mark_is_reached_at_its_number(name: str, longest: int, count: int) -> None:
    quick = t.group(0, (t.MS,) * 10, (t.MS,) * 10)
    queues = found(t.tasks((t.processor(name, 0, looks=(longest,)),), (quick,)))
    assert len(queues) == count
    assert all("500 tasks waited in its queue" in one.title for one in queues)


def test_pools_without_a_free_thread_are_said() -> None:
    threads = (TaskThread(7, 400, 5 * t.S), TaskThread(8, 400, 5 * t.S - t.MS))
    (finding,) = found(replace(t.overrun(), threads=threads))
    assert "worker_start: 2.0 of 2 threads are busy" in finding.evidence
    assert "pjsip.conf or stasis.conf" in finding.advice


def test_so_are_task_processors_that_are_a_pool() -> None:
    late = t.group(0, (t.S,) * 10, (490 * t.MS,) * 10)
    (finding,) = found(t.tasks((t.processor("taskpool/s:pjsip-00000004", 9),), (late,)))
    assert "taskpool/s:pjsip-00000004: 1.0 of 1 threads are busy" in finding.evidence
    assert "it executes tasks 98 % of the time" in finding.evidence


def test_many_that_wait_are_one_finding() -> None:
    names = [f"pjsip/outsess/{name}-00000001" for name in ("ann", "bob", "cid", "dot", "eve")]
    late = [t.group(at, ((at + 1) * t.S,) * 5, (t.MS,) * 5) for at in range(5)]
    (finding,) = found(t.tasks(tuple(t.processor(one, 4) for one in names), tuple(late)))
    assert finding.title.startswith("pjsip/outsess/eve-00000001 and 4 more: tasks wait up to 5 s")
    assert "and 2 more: see TASK PROCESSORS" in finding.evidence


def test_they_are_among_all_findings() -> None:
    profile = replace(empty(), tasks=t.shown(t.held_up()))
    assert [one.id for one in find(profile)] == ["slow-task"]
