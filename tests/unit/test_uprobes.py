from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "bpf"
PROGRAM = re.compile(r"^int (\w+)\(struct pt_regs \*ctx\)\n\{\n(.*?)^\}\n", re.M | re.S)


def programs() -> dict[str, str]:
    """Return the body of every program for probes, by its name."""
    texts = (path.read_text() for path in sorted(SOURCES.glob("*.[ch]")))
    return dict(match.groups() for text in texts for match in PROGRAM.finditer(text))


# What probes call first, and what runs at returns only.
FIRST = {"lookup_session", "lookup_entry", "lookup_return"}
FOLLOWING = {name for name in programs() if name.startswith("lookup_")} - FIRST


def test_all_programs_are_looked_at() -> None:
    assert {"lookup_count", "lookup_walk", "lookup_commit", "lookup_unwind"} <= FOLLOWING


@pytest.mark.parametrize("name", sorted(FOLLOWING))
def test_programs_after_the_entry_want_no_return(name: str) -> None:
    """In a session, 0 asks for the return: the kernel then overwrites the word at rsp."""
    answers = re.findall(r"return ([^;]*);", programs()[name])
    assert set(answers) == {"NO_RETURN_PROBE"}
