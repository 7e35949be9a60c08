from __future__ import annotations

from profiler.renderers.words.leaks import called_by, name, some


def test_a_long_or_hostile_name_is_harmless() -> None:
    shown = name("\x1b[2J" + "x" * 5_000)
    assert shown.isprintable()
    assert len(shown) <= 80


def test_more_than_a_few_are_counted() -> None:
    assert some(["a", "b"], 2) == ["a", "b"]
    assert some(["a", "b", "c", "d"], 2) == ["a", "b", "2 more"]


def test_the_nearest_caller_comes_first() -> None:
    assert called_by(["f", "g"]) == "called by f <- g"
    assert called_by([]) == ""
    assert called_by("f" for _ in range(10)).endswith(" <- f <- 2 more")
