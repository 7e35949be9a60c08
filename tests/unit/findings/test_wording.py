from __future__ import annotations

from profiler.findings.wording import percent, seconds


def test_seconds_have_as_many_digits_as_they_are_known_with() -> None:
    assert [seconds(value) for value in (0.123, 9.94, 10.4, 1_234.5)] == [
        "0.12 s",
        "9.9 s",
        "10 s",
        "1,234 s",
    ]


def test_per_cent_is_whole() -> None:
    assert [percent(value) for value in (0.0, 0.126, 1.404)] == ["0 %", "13 %", "140 %"]
