from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.renderers.terminal import wait_text
from tests import examples


def text(profile, width: int = 80) -> str:
    return "\n".join(line.text for line in wait_text.lines(profile, width))


def test_nothing_is_said_where_nobody_looked() -> None:
    assert wait_text.lines(examples.empty(), 80) == []


def test_it_shows_roles_locks_and_other_places() -> None:
    shown = text(examples.contended())
    assert "OFF-CPU TIME" in shown and "LOCKS" in shown and "OTHER WAITS" in shown
    assert "held by session_do -> action_status" in shown
    assert "cdr_main > sqlite3_step  (disk)" in shown
    assert "worker_start" not in shown.partition("LOCKS")[0]


def test_without_trouble_it_is_a_sentence() -> None:
    profile = examples.contended()
    assert profile.off_cpu is not None
    quiet = replace(profile.off_cpu, roles=(), locks=(), stacks=())
    shown = text(replace(profile, off_cpu=quiet))
    assert "LOCKS" not in shown and "OTHER WAITS" not in shown


@pytest.mark.parametrize("width", [20, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = wait_text.lines(examples.poisoned(), width) + wait_text.lines(
        examples.contended(), width
    )
    assert max(len(line.text) for line in lines) <= width
