from __future__ import annotations

import pytest

from profiler.observed import MeasuredWindow
from profiler.recording import ProbeWindow
from profiler.waiting_cost import WaitingCost

MS = 1_000_000


def window(lookups: int, cpu_ms: float, cost_ms: int = 1, counting: bool = False) -> MeasuredWindow:
    return MeasuredWindow(
        window=ProbeWindow(0, round(cpu_ms * MS), lookups, cost_ms * MS),
        groups=(),
        is_counting=counting,
        cpu_begin_ns=5 * MS,
        cpu_end_ns=round((5 + cpu_ms) * MS),
        cost_ns=cost_ms * MS,
        admitted=0 if counting else lookups - lookups // 10,
        refused=0 if counting else lookups // 10,
        tallied=lookups if counting else 0,
    )


def learned(*windows: MeasuredWindow) -> list[float]:
    cost = WaitingCost()
    return [round(cost.learn(seen)) / MS for seen in windows]


def test_what_lookups_need_more_where_they_are_measured_is_charged_once() -> None:
    counting = [window(1000, 101, counting=True)] * 5  # 0.1 ms each
    measuring = [window(100, 13)] * 5  # 0.12 ms
    assert learned(*counting, *measuring) == pytest.approx([0] * 9 + [10])
    more = [window(100, 13), window(100, 9), window(1000, 101, counting=True)]
    assert learned(*counting, *measuring, *more)[10:] == pytest.approx([2, -2, 0])


def test_what_was_charged_too_much_is_given_back_but_no_more() -> None:
    counting = [window(1000, 101, counting=True)] * 5
    measuring = [window(100, 13)] * 5
    assert sum(learned(*counting, *measuring, window(1000, 50))) == 0


@pytest.mark.parametrize(("counted", "measured"), [(4, 9), (9, 4)])
def test_few_windows_tell_nothing(counted: int, measured: int) -> None:
    counting = [window(1000, 101, counting=True)] * counted
    assert not any(learned(*counting, *[window(100, 13)] * measured))


def test_a_difference_that_windows_have_by_chance_is_not_charged() -> None:
    counting = [window(1000, 101, counting=True)] * 5
    # Together 10 ms more than usual, with an error of 5.6 or 4.4 ms.
    unlike = (10.2, 15.8, 10.2, 15.8, 13)
    assert not any(learned(*counting, *[window(100, ms) for ms in unlike]))
    alike = (10.8, 15.2, 10.8, 15.2, 13)
    assert sum(learned(*counting, *[window(100, ms) for ms in alike])) == pytest.approx(10)


def test_windows_that_cost_much_tell_nothing() -> None:
    counting = [window(1000, 101, counting=True)] * 5
    assert not any(learned(*counting, *[window(100, 30, cost_ms=6)] * 5))
    assert any(learned(*counting, *[window(100, 31, cost_ms=6)] * 5))


def test_windows_without_lookups_tell_nothing() -> None:
    assert not any(learned(*[window(0, 101, counting=True)] * 5, *[window(0, 13)] * 5))
