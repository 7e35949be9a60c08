"""The largest of many things."""

from __future__ import annotations

from profiler.report.references.most import most


def test_the_largest_are_kept_in_their_order_and_of_equal_ones_the_first() -> None:
    words = ("a", "ccc", "bb", "dd", "eeee")
    assert most(words, 3, len) == ["ccc", "bb", "eeee"]
    assert most(iter(words), 9, len) == list(words)
    assert most((), 1, len) == []
