import signal
import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack
from typing import cast

import pytest

from lab import traffic
from lab.errors import LabError
from lab.instance import Instance

HEADER = (
    "StartTime;CurrentTime;SuccessfulCall(C);FailedCall(C);Retransmissions(C);CallRate(C);"
    "ResponseTimeanswer(C);\n"
)
START = "2026-01-02\t03:04:05.000000\t1000.500000"


def row(end: str, successful: int, failed: int) -> str:
    return f"{START};2026-01-02\t03:04:06\t{end};{successful};{failed};7;99.5;00:00:01:250000;\n"


def test_the_last_line_is_the_summary() -> None:
    text = HEADER + row("1001.0", 1, 0) + row("1003.750000", 300, 2)
    summary = traffic.parse_statistics(text, "register", "16", 302)
    assert summary.as_dict() == {
        "kind": "register",
        "instance": "16",
        "asked": 302,
        "successful": 300,
        "failed": 2,
        "retransmissions": 7,
        "rate_hz": 99.5,
        "duration_s": 3.25,
        "response_ms": 1250.0,
    }
    assert not summary.complete


@pytest.mark.parametrize(
    ("successful", "failed", "complete"), [(10, 0, True), (9, 0, False), (10, 1, False)]
)
def test_complete_is_all_and_no_failure(successful: int, failed: int, complete: bool) -> None:
    text = HEADER + row("1001.0", successful, failed)
    assert traffic.parse_statistics(text, "calls", "22", 10).complete is complete


@pytest.mark.parametrize("text", ["", HEADER, HEADER + "1;2;3;\n", HEADER + row("x", 1, 1)])
def test_statistics_that_make_no_sense_are_an_error(text: str) -> None:
    with pytest.raises(LabError):
        traffic.parse_statistics(text, "calls", "22", 10)


@pytest.mark.parametrize("kind", traffic.KINDS)
def test_every_kind_has_a_scenario_of_its_name(kind: str) -> None:
    scenario = ElementTree.parse(traffic.SCENARIOS / f"{kind}.xml").getroot()
    assert scenario.get("name") == kind
    started = [node.get("start_rtd") for node in scenario.iter("send")]
    assert started[0] == "answer"


def test_the_time_limit_is_bounded() -> None:
    assert traffic.time_limit(100, 1000) == 10 + traffic.GRACE_SECONDS
    assert traffic.time_limit(0.001, 1000) == traffic.SECONDS_MAX


def test_ports_for_media_are_free_besides_the_one_for_signalling() -> None:
    signalling, media = traffic.free_ports()
    with ExitStack() as stack:
        assert all(traffic.bind(stack, port) for port in (signalling, media, media + 2, media + 3))
        assert traffic.bind(stack, media) is None


def test_a_run_that_does_not_end_is_ended() -> None:
    code, _said = traffic.execute(["sleep", "1000"], 0.1)
    assert code == -signal.SIGUSR1


def test_a_run_that_cannot_be_ended_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "ENDING_SECONDS", 0.2)
    script = "trap '' USR1; while :; do sleep 0.05; done"
    code, _said = traffic.execute(["sh", "-c", script], 0.3)
    assert code == -signal.SIGKILL


@pytest.mark.parametrize("at_once", [0, traffic.AT_ONCE_MAX + 1])
def test_so_many_do_not_wait_for_an_answer(at_once: int) -> None:
    asterisk = cast(Instance, None)
    with pytest.raises(LabError, match="so many cannot wait"):
        traffic.run("register", asterisk, 10, 10, at_once=at_once)


def test_no_more_wait_for_an_answer_than_asked() -> None:
    arguments = traffic.arguments("/place", 5060, 10, 100, at_once=8)
    assert arguments[arguments.index("-l") + 1] == "8"
