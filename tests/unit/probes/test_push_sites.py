from __future__ import annotations

import pytest

from profiler.binary.probe_sites import Site
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe
from profiler.probes.push_sites import push_value
from profiler.wire.unwind import push_site


def probe(instruction: str, stack_bytes: int | None) -> PlannedProbe:
    site = Site("f", 0x1000, 0x1000, instruction, True, stack_bytes, "")
    return PlannedProbe(site, AttachPoint("/bin/true", 0x1000, 0x5000, 0, False), frozenset())


@pytest.mark.parametrize(
    ("instruction", "stack_bytes", "expected"),
    [
        ("push %rax", 0, push_site(0, 1, True)),
        ("push %rbp", 0, push_site(6, 1, True)),
        ("push %rcx", 8, push_site(2, 1, False)),
        ("push %r15", 0, push_site(15, 2, True)),
        ("push %r8", 16, push_site(8, 2, False)),
    ],
)
def test_pushes_are_reported_with_dwarf_number_and_length(
    instruction: str, stack_bytes: int, expected: int
) -> None:
    assert push_value(probe(instruction, stack_bytes)) == expected


@pytest.mark.parametrize("instruction", ["je 0x1234", "push 0x18(%rsp)", "push $0x1", "call 0x99"])
def test_other_instructions_are_not(instruction: str) -> None:
    assert push_value(probe(instruction, 0)) is None
