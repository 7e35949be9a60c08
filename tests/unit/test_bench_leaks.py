"""What the benchmark of leaks makes of a run."""

from __future__ import annotations

from typing import Any

import pytest

from bench.leaks import Outcome, judge

TRUTH = {
    "taken": {"file": "r.c", "line": 3, "function": "attach"},
    "given": {"file": "r.c", "line": 9, "function": "detach"},
    "types": [{"name": "leaky", "file": "o.c", "line": 5, "function": "leaky_alloc"}],
}


def suspect(name: str, taken: str, given: str = "r.c:9 detach", by: str | None = None) -> Any:
    return {
        "summary": {"name": name},
        "taken_at": [taken],
        "given_back_at": [{"site": given}] if given else [],
        "held_by": by,
    }


RIGHT = suspect("leaky_destroy", "r.c:3 attach")


@pytest.mark.parametrize(
    ("suspects", "expected"),
    [
        ([RIGHT], (True, True, ())),
        ([], (False, False, ())),
        ([suspect("leaky_destroy", "r.c:4 link")], (False, True, ())),
        ([suspect("leaky_destroy", "r.c:3 attach", given="")], (True, False, ())),
        ([suspect("brief_destroy", "r.c:3 attach"), RIGHT], (False, True, ("brief_destroy",))),
        (
            [RIGHT, suspect("brief_destroy", "", by="leaky_destroy")],
            (True, True, ("brief_destroy",)),
        ),
    ],
)
def test_a_run_is_compared_with_the_truth(suspects: list[Any], expected: tuple[Any, ...]) -> None:
    assert judge({"suspects": suspects}, TRUTH, "attach", 5) == Outcome(5, *expected)


def test_a_birth_is_taken_where_it_is_made() -> None:
    truth = {**TRUTH, "taken": None}
    born = suspect("leaky_destroy", "o.c:5 leaky_alloc")
    assert judge({"suspects": [born]}, truth, "birth", 5).is_first


def test_of_a_holder_the_holder_is_the_true_one() -> None:
    holder = suspect("owner_destroy", "r.c:3 attach")
    assert judge({"suspects": [holder]}, TRUTH, "holder", 5).is_first
    assert not judge({"suspects": [RIGHT]}, TRUTH, "holder", 5).is_first
