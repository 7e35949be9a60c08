from __future__ import annotations

import pytest

from profiler.binary.instructions import decode_all
from profiler.unwind.frame_values import (
    ENTRY,
    FrameValues,
    ImpossibleFrameError,
    after,
    concerns_frame,
    merged,
    state_of,
)
from profiler.unwind.machine import UNDEFINED, InRegister, State
from tests.compiled import machine_code

AS_CALLED: State = (7, 8, None, -8, None)


def follow(text: str, frame: FrameValues = ENTRY) -> FrameValues:
    """Return what is known behind these instructions."""
    for instruction in decode_all(machine_code(text)):
        behind = after(frame, instruction)
        assert behind == frame or frame.kept_in is not None or concerns_frame(instruction)
        frame = behind
    return frame


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", AS_CALLED),
        ("push %r12; push $1; sub $0x20, %rsp", (7, 56, None, -8, None)),
        ("push %rbx; push %rbp; pop %rax", (7, 16, None, -8, None)),
        ("push %rbp; xor %ebp, %ebp", (7, 16, -16, -8, None)),
        ("push %rbp; mov %rsp, %rbp", (7, 16, -16, -8, None)),
        ("push %rbp; mov %rsp, %rbp; and $-64, %rsp", (6, 16, -16, -8, None)),
        ("push %rbp; mov %rsp, %rbp; sub %rax, %rsp; leave", AS_CALLED),
        (
            "push %rbp; mov %rsp, %rbp; push %rbx; and $-64, %rsp; lea -8(%rbp), %rsp; pop %rbx",
            (7, 16, -16, -8, None),
        ),
        ("sub $24, %rsp; mov %rbx, 8(%rsp); mov %edi, %ebx", (7, 32, None, -8, -24)),
        (
            "sub $24, %rsp; mov %rbx, (%rsp); xor %ebx, %ebx; mov (%rsp), %rbx",
            (7, 32, None, -8, None),
        ),
        ("push %rbp; mov %eax, (%rsp); xor %ebp, %ebp", (7, 16, UNDEFINED, -8, None)),
        ("push %rbp; movups %xmm0, -8(%rsp); xor %ebp, %ebp", (7, 16, UNDEFINED, -8, None)),
        ("pop %rdi", (7, 0, None, InRegister(5), None)),
        ("pop %rdx; syscall", (7, 0, None, InRegister(1), None)),
        ("pop %rdx; syscall; push %rdx", AS_CALLED),
        ("pushf; popf; lea -0x18(%rsp), %rsp", (7, 32, None, -8, None)),
        ("call *%rax", AS_CALLED),
    ],
)
def test_the_rule_behind_instructions(text: str, state: State) -> None:
    assert state_of(follow(text)) == state


@pytest.mark.parametrize(
    "text",
    [
        "and $-64, %rsp",
        "mov %rdi, %rsp",
        "mov %rax, (%rsp)",  # another return address
        "pop %rcx; syscall",  # which changes rcx
        "pop %rdi; call *%rax",
        "pop 8(%rdi); call *%rax",
        "pop %rsi; push %rdi; pop %rsi; nop; push %rsi",  # another one than was kept there
        "push %rbp; mov %rsp, %rbp; and $-64, %rsp; mov %rax, %rbp",
    ],
)
def test_what_is_not_known_has_no_rule(text: str) -> None:
    assert state_of(follow(text)) is None


@pytest.mark.parametrize("text", ["pop %rax; pop %rcx", "add $24, %rsp"])
def test_no_function_takes_more_than_its_own_off_the_stack(text: str) -> None:
    with pytest.raises(ImpossibleFrameError):
        follow(text)


def test_who_clears_rbp_behind_a_system_call_has_no_caller() -> None:
    assert follow("syscall; test %eax, %eax; xor %ebp, %ebp").is_outermost
    assert state_of(follow("syscall; xor %ebp, %ebp; call *%rax")) == (7, 8, None, UNDEFINED, None)
    for other in (
        "xor %ebp, %ebp",
        "push %rbp; xor %eax, %eax; syscall; call *%rax; xor %ebp, %ebp",
        "push %rbp; mov $39, %eax; syscall; xor %ebp, %ebp",  # has saved it
    ):
        assert not follow(other).is_outermost


def test_where_ways_meet_only_what_both_know_stays() -> None:
    saved, kept = follow("push %rbp; xor %ebp, %ebp"), follow("sub $8, %rsp")
    assert state_of(merged(saved, kept)) == (7, 16, UNDEFINED, -8, None)
    assert merged(saved, saved) == saved


def test_ways_with_different_stacks_cannot_meet() -> None:
    with pytest.raises(ImpossibleFrameError):
        merged(ENTRY, follow("push %rax"))
    with pytest.raises(ImpossibleFrameError):
        merged(ENTRY, follow("syscall; xor %ebp, %ebp"))
