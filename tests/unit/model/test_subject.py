from __future__ import annotations

from profiler.model.subject import source_place


def test_a_place_is_as_exact_as_it_is_known() -> None:
    assert source_place("main.c", 7, "asks") == "main.c:7 asks"
    assert source_place("main.c", None, "asks") == "main.c asks"
    assert source_place(None, 7, "asks") == "asks"
