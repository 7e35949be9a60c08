"""Arguments of calls, on assembler whose values are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary.call_arguments import Call, State, calls
from profiler.binary.instructions import Instruction
from tests.compiled import assemble, code_of, start_of

ALL = (0, 1, 2, 3, 4, 5, 6, 7, 8)


def found(folder: Path, body: str, strict: bool = False) -> list[dict[int, int]]:
    """Return the known arguments of every call of `callee` in the function `f`."""
    ending = "FUNCTION callee\nret\nEND\n.data\ntext: .quad 0\n.text"
    image = assemble(folder, f"FUNCTION f\n{body}\nret\nEND\n{ending}")
    callee = image.exported("callee")

    def name_of(instruction: Instruction) -> str | None:
        return "callee" if instruction.target == callee else None

    return [call.values for call in calls(code_of(image), name_of, lambda _: ALL, strict)]


def test_registers_hold_the_first_six(tmp_path: Path) -> None:
    body = """
    movl $1, %edi
    movl $2, %esi
    movl $3, %edx
    movl $4, %ecx
    movl $5, %r8d
    movq $6, %r9
    call callee
    """
    assert found(tmp_path, body) == [{0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6}]


def test_address_of_data_is_a_value(tmp_path: Path) -> None:
    body = "lea text(%rip), %rbx\nmov %rbx, %rcx\ncall callee"
    values = found(tmp_path, body)
    assert list(values[0]) == [3]
    assert values[0][3] > 0


def test_pushed_arguments_follow(tmp_path: Path) -> None:
    body = "push $9\npush $8\nmovl $7, %eax\npush %rax\ncall callee\nadd $24, %rsp"
    assert found(tmp_path, body) == [{6: 7, 7: 8, 8: 9}]


def test_stored_arguments_follow(tmp_path: Path) -> None:
    body = """
    sub $40, %rsp
    movq $7, (%rsp)
    movl $8, %eax
    movl %eax, 8(%rsp)
    call callee
    add $40, %rsp
    """
    assert found(tmp_path, body) == [{6: 7, 7: 8}]


def test_stack_is_followed_through_branches_and_returns(tmp_path: Path) -> None:
    body = """
    push %rbx
    sub $16, %rsp
    test %edi, %edi
    je 1f
    add $16, %rsp
    pop %rbx
    ret
1:  movq $7, (%rsp)
    call callee
    add $16, %rsp
    pop %rbx
    """
    assert found(tmp_path, body) == [{6: 7}]


def test_code_that_is_reached_only_from_behind_knows_what_it_pushes(tmp_path: Path) -> None:
    body = """
    jmp 2f
1:  push $9
    push $8
    push $7
    call callee
    add $24, %rsp
2:  test %edi, %edi
    jne 1b
    """
    assert found(tmp_path, body) == [{6: 7, 7: 8, 8: 9}]


def test_code_that_is_reached_only_from_behind_knows_nothing_else(tmp_path: Path) -> None:
    body = """
    sub $16, %rsp
    movq $7, (%rsp)
    jmp 2f
1:  call callee
2:  test %edi, %edi
    jne 1b
    add $16, %rsp
    """
    assert found(tmp_path, body) == [{}]


@pytest.mark.parametrize(
    "spoiler",
    [
        "xor %edi, %edi",
        "mov (%rax), %rdi",
        "pop %rdi",
        "call callee",
        "mov %rsi, %rdi",
        "cpuid\ninc %edi",
    ],
)
def test_overwritten_register_is_unknown(tmp_path: Path, spoiler: str) -> None:
    values = found(tmp_path, f"movl $1, %edi\n{spoiler}\ncall callee")
    assert 0 not in values[-1]


def test_registers_that_survive_calls_keep_their_values(tmp_path: Path) -> None:
    body = "movl $3, %ebx\ncall callee\nmov %ebx, %edx\ncall callee"
    assert found(tmp_path, body) == [{}, {2: 3}]


def test_jump_to_a_function_passes_arguments_too(tmp_path: Path) -> None:
    assert found(tmp_path, "movl $1, %edi\njmp callee") == [{0: 1}]


def test_values_are_forgotten_where_paths_meet_only_when_strict(tmp_path: Path) -> None:
    body = "movl $1, %edi\ntest %esi, %esi\nje 1f\nmovl $2, %edi\n1: movl $4, %edx\ncall callee"
    assert found(tmp_path, body) == [{0: 2, 2: 4}]
    (tmp_path / "strict").mkdir()
    assert found(tmp_path / "strict", body, strict=True) == [{2: 4}]


def test_no_code_has_no_calls() -> None:
    assert list(calls((), lambda _: "x", lambda _: ALL)) == []


def test_call_tells_where_it_is(tmp_path: Path) -> None:
    image = assemble(tmp_path, "FUNCTION f\nnop\ncall callee\nret\nEND\nFUNCTION callee\nret\nEND")
    named = calls(code_of(image), lambda i: "callee" if i.target else None, lambda _: ())
    assert list(named) == [Call(start_of(image) + 1, "callee", {})]


def test_what_is_furthest_from_the_top_of_the_stack_is_forgotten(tmp_path: Path) -> None:
    pushes = "\n".join(f"push ${number % 100}" for number in range(500))
    state = State()
    for instruction in code_of(assemble(tmp_path, f"FUNCTION f\n{pushes}\nret\nEND"))[:500]:
        state.step(instruction)
    assert state.size == 64
    assert [state.argument(position, 0) for position in (6, 69, 70)] == [99, 36, None]
