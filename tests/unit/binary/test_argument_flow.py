"""Arguments of one call, on assembler whose paths are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary import argument_flow
from profiler.binary.argument_flow import arguments_at
from profiler.binary.instructions import Flow
from tests.compiled import assemble, code_of

ALL = (0, 1, 2, 3, 4, 5, 6, 7)


def arguments(folder: Path, body: str, which: int = 0) -> dict[int, int]:
    """Return what is known of one of the calls of `callee` in the function `f`."""
    ending = "FUNCTION callee\nret\nEND\n.data\ntable: .quad 0\n.text"
    code = code_of(assemble(folder, f"FUNCTION f\n{body}\nret\nEND\n{ending}"))
    calls = [instruction.address for instruction in code if instruction.flow is Flow.CALL]
    return arguments_at(code, calls[which], ALL)


def test_what_all_paths_agree_to_is_known(tmp_path: Path) -> None:
    body = """
    movl $5, %ebx
    test %edi, %edi
    je 1f
    movl $1, %esi
    jmp 2f
1:  movl $2, %esi
2:  movl %ebx, %edx
    call callee
    """
    assert arguments(tmp_path, body) == {2: 5}


def test_a_value_from_before_a_loop_is_known_in_it_unless_the_loop_changes_it(
    tmp_path: Path,
) -> None:
    body = """
    push %rbx
    push %r12
    movl $5, %ebx
    movl $6, %r12d
1:  movl %ebx, %edx
    movl %r12d, %ecx
    call callee
    movl $7, %r12d
    test %eax, %eax
    jne 1b
    pop %r12
    pop %rbx
    """
    assert arguments(tmp_path, body) == {2: 5}


def test_code_that_lies_before_and_runs_after_is_followed(tmp_path: Path) -> None:
    body = """
    jmp 2f
    nop
1:  movl %ebx, %edx
    call callee
    ret
2:  movl $5, %ebx
    jmp 1b
    """
    assert arguments(tmp_path, body) == {2: 5}


def test_stacked_arguments_are_those_of_all_paths(tmp_path: Path) -> None:
    body = """
    sub $24, %rsp
    movq $7, 8(%rsp)
    test %edi, %edi
    je 1f
    movq $1, (%rsp)
    jmp 2f
1:  movq $2, (%rsp)
2:  call callee
    add $24, %rsp
    """
    assert arguments(tmp_path, body) == {7: 7}


def test_arguments_are_pushed_behind_space_of_unknown_size(tmp_path: Path) -> None:
    body = """
    push %rbp
    mov %rsp, %rbp
    sub %rdi, %rsp
    push $9
    push $8
    call callee
    leave
    """
    assert arguments(tmp_path, body) == {6: 8, 7: 9}


def test_a_case_of_a_switch_begins_with_nothing_known(tmp_path: Path) -> None:
    body = """
    movl $5, %ebx
    jmp *%rax
    movl %ebx, %edx
    movl $3, %ecx
    call callee
    """
    assert arguments(tmp_path, body) == {3: 3}


def test_what_is_no_instruction_has_no_arguments(tmp_path: Path) -> None:
    code = code_of(assemble(tmp_path, "FUNCTION f\nmovl $1, %edi\nret\nEND"))
    assert arguments_at(code, code[0].address + 1, ALL) == {}
    assert arguments_at((), 16, ALL) == {}


def test_values_that_are_copied_to_where_paths_meet_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "push $1\n" * 60 + "je 1f\n1: " * 100 + "call callee"
    assert arguments(tmp_path, body) == {6: 1, 7: 1}
    monkeypatch.setattr(argument_flow, "_MAX_STEPS", 1000)  # instructions are 161
    assert arguments(tmp_path, body) == {}
