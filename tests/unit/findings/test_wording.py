from __future__ import annotations

from dataclasses import replace

from profiler.findings.wording import cpu_time, percent, place, seconds
from profiler.model.cpu_share import CpuShare
from profiler.model.recording import Sample
from profiler.model.search import Search
from tests.examples import empty, looking_up


def test_seconds_have_as_many_digits_as_they_are_known_with() -> None:
    assert [seconds(value) for value in (0.123, 9.94, 10.4, 1_234.5)] == [
        "0.12 s",
        "9.9 s",
        "10 s",
        "1,234 s",
    ]


def test_per_cent_is_whole() -> None:
    assert [percent(value) for value in (0.0, 0.126, 1.404)] == ["0 %", "13 %", "140 %"]


def test_cpu_time_comes_with_its_error() -> None:
    profile = replace(empty(), samples=tuple(Sample(at, 1, 0) for at in range(2_000)))
    known = CpuShare(1_310, 0.321, 0.313, 0.336)
    assert cpu_time(profile, known) == "31 to 34 % of a CPU (1,310 of 2,000 samples)"
    few = CpuShare(5, 0.01, 0.004, 0.021)
    assert cpu_time(profile, few) == "0.4 to 2.1 % of a CPU (5 of 2,000 samples)"
    sure = CpuShare(2_000, 0.321, 0.3205, 0.321, is_divided=True)
    assert cpu_time(profile, sure) == (
        "32 % of a CPU (2,000 of 2,000 samples), shared with other containers by lookup time"
    )


def test_a_place_is_what_is_known_of_it() -> None:
    known = looking_up(Search.KEY, 1)
    assert place(known) == "main.c:7 asks"
    assert place(replace(known, line=None)) == "main.c asks"
    assert place(replace(known, file=None, line=None)) == "asks"
