from __future__ import annotations

from dataclasses import replace

from profiler.model.tasks import Tasks
from profiler.renderers.terminal.task_text import lines
from tests import task_examples as t
from tests.examples import empty


def shown(known: Tasks, width: int = 80) -> list[str]:
    return [line.text for line in lines(replace(empty(), tasks=t.shown(known)), width)]


def test_nobody_looked_is_no_section() -> None:
    assert lines(empty(), 80) == []


def test_no_task_is_said() -> None:
    assert "  No task was seen." in shown(t.tasks((), ()))


def test_each_task_processor_is_a_row_with_its_functions_below() -> None:
    text = shown(t.held_up(), 100)
    row = next(at for at, line in enumerate(text) if "pjsip/distributor-0000001a" in line)
    assert text[row].split()[1:] == ["26.2", "611", "1.90", "s", "1.90", "s", "1", "ms", "2", "s"]
    assert text[row + 1].strip().startswith("slow_lookup: 1 task")


def test_rows_beyond_ten_are_counted() -> None:
    names = (f"stasis/{'x' * length}" for length in range(1, 14))
    assert "  and 3 more" in shown(t.tasks(tuple(map(t.processor, names)), ()))


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in (40, 80, 120):
        assert max(map(len, shown(t.held_up(), width))) <= width
