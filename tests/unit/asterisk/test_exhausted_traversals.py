"""Places that only exhausted traversals pass, in code written for one question each.

Every function gets a container in rdi, whose methods `first` and `next` are at 0x20 and 0x28.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.asterisk.exhausted_traversals import exhausted_places
from profiler.binary.control_flow import flow_of
from tests.compiled import assemble

FIRST, NEXT = 0x20, 0x28
LOOP = """
FUNCTION traverse
    push %rbx
    push %rbp
    mov %rdi, %rbx
    mov (%rbx), %rax
    {first}
    {test_first}
loop:
    mov %rax, %rbp
    mov (%rbp), %rdi
    call *%rsi
    test %eax, %eax
    jne stopped
    mov (%rbx), %rax
    {next}
    {test_next}
    jne loop
none:
    mov (%rbx), %rax
    {exhausted}
place:
    {place}
    call other
    jmp end
stopped:
    {stopped}
    mov %rbp, %rdi
    call other
end:
    pop %rbp
    pop %rbx
    ret
END
FUNCTION other
    ret
END
"""
USUAL = {
    "first": "call *0x20(%rax)",
    "test_first": "test %rax, %rax\n je none",
    "next": "call *0x28(%rax)",
    "test_next": "test %rax, %rax",
    "exhausted": "mov 0x30(%rax), %rax\n test %rax, %rax",
    "place": "je end",
    "stopped": "",
}


def places(folder: Path, **parts: str) -> list[int]:
    """Return how far the places are from where one is expected."""
    body = LOOP.format(**{**USUAL, **parts})
    image = assemble(folder, body.replace("place:", ".globl place\nplace:"))
    start, expected = image.exported("traverse"), image.exported("place")
    assert start is not None and expected is not None
    flow = flow_of(image, start)
    assert flow is not None
    return sorted(place - expected for place in exhausted_places(image, flow, FIRST, NEXT))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"next": "mov 0x28(%rax), %rcx\n mov %rcx, %r9\n call *%r9"},
        {"test_next": "mov %rax, %rdx\n test %rdx, %rdx"},
        {"test_next": "test %rax, %rax\n lea 1(%rdx), %rcx\n mov $0, %edx"},
        {"test_next": "cmp $1, %ecx\n test %rax, %rax"},
        {"exhausted": "jmp 5f\n5: xor %ecx, %ecx"},
        {"exhausted": "nop", "place": "call other"},
        {"stopped": "call *%r12"},
    ],
)
def test_the_last_instruction_before_the_ways_part(tmp_path: Path, parts: dict[str, str]) -> None:
    assert places(tmp_path, **parts) == [0]


def test_two_ways_that_do_not_meet_have_a_place_each(tmp_path: Path) -> None:
    first = "test %rax, %rax\n jne loop\n 6: je end\n jmp end"
    found = places(tmp_path, test_first=first)
    assert len(found) == 2 and found[1] == 0


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"stopped": "jmp place"}, id="a stopped traversal comes by"),
        pytest.param({"stopped": "jmp none"}, id="a stopped traversal comes by earlier"),
        pytest.param({"test_next": "test %eax, %eax"}, id="half of the result is tested"),
        pytest.param({"test_next": "test %rax, %rdx"}, id="another register is tested too"),
        pytest.param({"test_next": "mov $1, %eax\n test %rax, %rax"}, id="overwritten"),
        pytest.param({"test_next": "mov %rax, %rbp\n call other\n test %rax, %rax"}, id="a call"),
        pytest.param({"test_next": "test %rax, %rax\n cmp $1, %ecx"}, id="other flags"),
        pytest.param(
            {"test_next": "cmp $1, %ecx\n je end\n test %rax, %rax"}, id="not on all ways"
        ),
        pytest.param({"test_first": ""}, id="the first is not tested"),
        pytest.param({"first": "call *0x18(%rax)"}, id="no first"),
        pytest.param({"next": "push 0x28(%rax)\n pop %rcx\n call *%rcx"}, id="by the stack"),
        pytest.param(
            {"next": "mov 0x28(%rax), %rcx\n mov %rcx, -8(%rsp)\n call *-8(%rsp)"}, id="by memory"
        ),
        pytest.param(
            {"next": "mov 8(%rax), %rcx\n je 5f\n mov 0x28(%rax), %rcx\n5: call *%rcx"},
            id="one of two methods",
        ),
        pytest.param(
            {"next": "mov 0x18(%rax), %rcx\n cmove 0x28(%rax), %rcx\n call *%rcx"},
            id="one of two methods, without a jump",
        ),
        pytest.param({"stopped": "jmp *%rcx"}, id="an unknown jump"),
        pytest.param({"stopped": "jmp 0x10"}, id="a jump to nowhere"),
        pytest.param({"exhausted": "", "place": "call *%rcx\n je end"}, id="only stepped ones"),
        pytest.param({"place": "je none"}, id="in a loop"),
        pytest.param({"test_first": "test %rax, %rax\n jne loop\n js end\n jmp place"}, id="twice"),
    ],
)
def test_what_is_not_understood_has_none(tmp_path: Path, parts: dict[str, str]) -> None:
    assert places(tmp_path, **parts) == []
