"""What a recording says of the names of objects."""

from __future__ import annotations

from profiler.model.leaks import NameCount
from profiler.record.assembly.leaks import name_counts

PEERS = ("101", "102", "103", "103")
PHONES = (*PEERS, "alice", "alice", "alice", "bob7", "bob7", "bob8")


def test_names_are_shown_as_far_as_three_have_it_in_common() -> None:
    assert name_counts(PHONES, show_keys=False) == (NameCount("N", 4),)
    assert name_counts(PHONES[4:], show_keys=False) == ()


def test_names_are_shown_in_full_where_it_was_asked_for() -> None:
    shown = name_counts(PHONES, show_keys=True)
    assert shown[:3] == (NameCount("alice", 3), NameCount("103", 2), NameCount("bob7", 2))
    assert sum(one.count for one in shown) == len(PHONES)


def test_no_more_than_ten_are_kept_the_most_frequent_ones() -> None:
    names = [letter * 3 for letter in "abcdefghijklmnop"] + ["zzz"] * 2
    shown = name_counts(names, show_keys=True)
    assert (len(shown), shown[0]) == (10, NameCount("zzz", 2))
