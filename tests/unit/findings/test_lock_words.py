from __future__ import annotations

import pytest

from profiler.findings.lock_words import counted_threads, deadlock_title, stuck_title


@pytest.mark.parametrize(("count", "words"), [(1, "1 thread"), (1_200, "1,200 threads")])
def test_threads_are_counted(count: int, words: str) -> None:
    assert counted_threads(count) == words


@pytest.mark.parametrize(
    ("count", "age_ns", "behind", "words"),
    [
        (2, 8_000_000_000, 3, "2 threads wait for each other, for 8 s; 3 more behind them"),
        (3, None, 0, "3 threads wait for each other"),
        (1, None, 0, "a thread waits for a lock that it has itself"),
    ],
)
def test_a_deadlock_says_who_how_long_and_who_is_behind(
    count: int, age_ns: int | None, behind: int, words: str
) -> None:
    assert deadlock_title(count, age_ns, behind) == f"deadlock: {words}"


def test_who_is_stuck_keeps_others_waiting() -> None:
    assert stuck_title("it", 2, 7_000_000_000) == "it: 2 threads behind it, up to 7 s"
