from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model import offcpu as o
from profiler.model.off_cpu_profile import OffCpuProfile
from profiler.model.recording import Accounting
from profiler.renderers.words import waiting
from tests import examples


@pytest.fixture
def waits() -> OffCpuProfile:
    made = examples.contended().off_cpu
    assert made is not None
    return made


@pytest.mark.parametrize("kind", o.KINDS)
def test_every_kind_has_words(kind: str) -> None:
    assert waiting.kind_label(kind)


def test_an_unknown_kind_is_said_as_it_is_and_harmless() -> None:
    assert waiting.kind_label("\x1b" + "x" * 100) == "\\x1b" + "x" * 35 + "…"


def test_the_summary_leaves_idle_waiting_apart(waits: OffCpuProfile) -> None:
    assert waiting.summary(waits) == (
        "All threads together: 33.0 s lock; 480 ms child process; 56 ms disk; 3 ms ready, but "
        "others had the CPU. Besides, 109 s of waiting for work, packets or a time, which is no "
        "trouble."
    )


def test_where_nobody_waited_it_says_so(waits: OffCpuProfile) -> None:
    said = waiting.summary(replace(waits, kinds=()))
    assert "nobody waited for a lock, a disk or a CPU" in said


def test_the_part_that_was_seen_and_what_was_lost_is_said(waits: OffCpuProfile) -> None:
    assert waiting.coverage(waits) == "137 waits seen in all of the time; none lost."
    part = replace(waits, covered_ratio=0.031, accounting=Accounting(fired=9, kept=7, lost=2))
    assert waiting.coverage(part) == (
        "7 waits seen in 3.1 % of the time, which stand for all of it; 2 lost."
    )
    assert waiting.many(part, 7.4) == "about 7 waits"


def test_holders_come_before_who_waits(waits: OffCpuProfile) -> None:
    words = [word for word, _ in waiting.held_or_waiting(waits.locks[0], 3)]
    assert words == ["held by", "waits in", "waits in"]


def test_a_place_without_a_stack_is_not_known() -> None:
    assert waiting.path_label(()) == "a place that is not known"


def test_times_that_are_nothing_are_a_dash() -> None:
    assert (waiting.time_label(0.0), waiting.time_label(1_500_000.0)) == ("-", "1.50 ms")
