from __future__ import annotations

from contextlib import suppress

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.cli.options import Budget, Duration, Frequency


def duration(text: str) -> float:
    return Duration().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("60s", 60),
        ("1m", 60),
        ("1 min", 60),
        ("0.5h", 1800),
        ("250ms", 0.25),
        ("24h", 86_400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["0", "-1", "1d", "soon", "", "25h", "1e9", "nan", "inf"])
def test_no_durations(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no duration"):
        duration(text)


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with suppress(click.BadParameter):
        assert 0 < duration(text) <= 86_400


@pytest.mark.parametrize(
    ("text", "ratio"), [("1%", 0.01), ("0.1 %", 0.001), ("100%", 1.0), ("2", 0.02)]
)
def test_budgets(text: str, ratio: float) -> None:
    assert Budget().convert(text, None, None) == pytest.approx(ratio)


def test_the_budget_can_be_off() -> None:
    assert Budget().convert("OFF", None, None) == float("inf")


@pytest.mark.parametrize("text", ["nan", "inf", "0", "10001", "often"])
def test_no_frequencies(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Frequency(1, 10_000).convert(text, None, None)


@pytest.mark.parametrize("text", ["0%", "0.09%", "101%", "-1%", "much", "nan"])
def test_no_budgets(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no budget"):
        Budget().convert(text, None, None)
