"""The programs that report tasks load, for every register that a build may keep a task in."""

from __future__ import annotations

import pytest

from tests.task_programs import REGISTERS, check_load

pytestmark = pytest.mark.root


@pytest.mark.parametrize(("task", "processor"), REGISTERS)
@pytest.mark.parametrize("is_known", [True, False])
def test_programs_load(task: int, processor: int, is_known: bool) -> None:
    check_load(task, processor, is_known)
