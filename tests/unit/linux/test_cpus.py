from __future__ import annotations

import pytest

from profiler.linux.cpus import parse_cpus


@pytest.mark.parametrize(
    ("text", "cpus"), [("0\n", [0]), ("0-3", [0, 1, 2, 3]), ("0,2-3,9", [0, 2, 3, 9])]
)
def test_lists_of_cpus(text: str, cpus: list[int]) -> None:
    assert parse_cpus(text) == cpus


def test_no_list_of_cpus() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_cpus("none")
