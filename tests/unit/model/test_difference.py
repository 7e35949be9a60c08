from __future__ import annotations

from dataclasses import fields, replace

import pytest

from profiler.model.difference import ContainerChange, ContainerLoad, CpuChange, Difference

NOTHING = Difference((), (), (), ())
CPU = CpuChange(("main",), 0.25, 0.75, None)
LOAD = ContainerLoad(10.0, 0.5, 3)


def test_the_change_of_cpu_is_what_it_takes_more() -> None:
    assert CPU.delta_ratio == 0.5
    assert replace(CPU, after_ratio=0.125).delta_ratio == -0.125


@pytest.mark.parametrize(
    ("before", "after", "delta"),
    [(LOAD, replace(LOAD, duration_ratio=0.75), 0.25), (None, LOAD, 0.5), (LOAD, None, -0.5)],
)
def test_a_container_that_is_not_there_takes_nothing(
    before: ContainerLoad | None, after: ContainerLoad | None, delta: float
) -> None:
    assert ContainerChange("channels", "hash", before, after).delta_ratio == delta


@pytest.mark.parametrize("name", [field.name for field in fields(Difference)])
def test_a_difference_is_empty_only_without_any_change(name: str) -> None:
    assert NOTHING.is_empty()
    changed = replace(NOTHING, **{name: (CPU,)})  # type: ignore[arg-type]
    assert not changed.is_empty()
