from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.sockets import sockets
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Thread
from profiler.model.recording import Socket
from tests.examples import empty, with_threads


def found(*those: Socket) -> list[Finding]:
    return list(sockets(replace(empty(), sockets=those)))


@pytest.mark.parametrize(
    ("queue", "drops", "title", "severity"),
    [
        (99_999, 1, "UDP 0.0.0.0:5060: packets wait, 1 were dropped", Severity.LOST),
        (100_000, 0, "UDP 0.0.0.0:5060: packets wait", Severity.WAITING),
        (0, 1_204, "UDP 0.0.0.0:5060: 1,204 packets were dropped", Severity.LOST),
    ],
)
def test_a_socket_is_found_by_what_it_queued_or_dropped(
    queue: int, drops: int, title: str, severity: Severity
) -> None:
    (finding,) = found(Socket("0.0.0.0:5060", queue, 10.0, drops))
    assert (finding.id, finding.title, finding.severity) == ("udp-backlog", title, severity)


def test_a_short_queue_without_drops_is_nothing() -> None:
    assert found(Socket("0.0.0.0:5060", 99_999, 10.0, 0)) == []
    assert found() == []


def test_sockets_that_lose_packets_are_one_finding() -> None:
    lossy = [Socket(f"0.0.0.0:{10_000 + number}", 5, 1.0, 9 - number) for number in range(5)]
    losing, waiting = found(*lossy, Socket("0.0.0.0:5060", 200_000, 10.0, 0))
    assert losing.title == "5 UDP sockets: packets wait, 35 were dropped"
    assert losing.evidence[0] == "0.0.0.0:10000: 9 dropped, queue up to 5 bytes"
    assert losing.evidence[3:] == ("and 2 more: see UDP SOCKETS",)
    assert waiting.title == "UDP 0.0.0.0:5060: packets wait"


@pytest.mark.parametrize(
    ("cpu_ratio", "run_delay_ratio", "advice"),
    [
        (0.25, None, ": see do_monitor, which is the busiest thread."),
        (0.1, 0.15, ": see do_monitor, which is the busiest thread."),
        (0.1, 0.14, ", though no thread is busy: it waits for another one, a lock"),
    ],
)
def test_advice_leads_to_a_thread_only_if_that_is_busy(
    cpu_ratio: float, run_delay_ratio: float | None, advice: str
) -> None:
    thread = Thread(12, "asterisk", "do_monitor", cpu_ratio, run_delay_ratio, 80)
    profile = replace(with_threads(empty(), thread), sockets=(Socket("[::]:5060", 9, 1.0, 3),))
    (finding,) = sockets(profile)
    assert advice in finding.advice
