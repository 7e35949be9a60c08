"""Where tasks begin and end, in code written for one question each, and in packaged builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.asterisk.task_code import TaskCode, find_task_code
from profiler.binary.code_image import CodeImage
from profiler.binary.instructions import R12, RBP
from profiler.errors import ProbeError
from tests.compiled import assemble

CODE = """
FUNCTION ast_taskprocessor_push
    push %r13
    mov %rdi, %r12
    ret
END
FUNCTION ast_taskprocessor_push_local
    push %r13
    ret
END
FUNCTION ast_taskprocessor_name
    test %rdi, %rdi
    je 1f
    {name}
    ret
1:  xor %eax, %eax
    ret
END
FUNCTION ast_taskprocessor_size
    {size}
    ret
END
FUNCTION ast_taskprocessor_execute
    push %r12
    push %rbp
    {kept}
    call other
    mov 0x30(%rbp), %r12
    test %r12, %r12
    je 9f
    call other
    testb $1, 0x18(%r12)
    .globl begins
begins:
    {branch}
    {data}
    {call}
2:  mov %r12, %rdi
    .globl ends
ends:
    {behind}
    mov 0x40(%rbp), %rdi
    mov (%rdi), %rax
    mov 0x10(%rax), %rax
    call *%rax
9:  pop %rbp
    pop %r12
    ret
3:  mov %rsp, %rdi
    {local_call}
    jmp 2b
END
FUNCTION other
    ret
END
"""
USUAL = {
    "name": "lea 0x60(%rdi), %rax",
    "size": "mov 0x18(%rdi), %rax",
    "kept": "mov %rdi, %rbp",
    "branch": "jne 3f",
    "data": "mov 0x8(%r12), %rdi",
    "call": "call *(%r12)",
    "local_call": "call *(%r12)",
    "behind": "call other",
}


def image_of(folder: Path, **parts: str) -> CodeImage:
    return assemble(folder, CODE.format(**{**USUAL, **parts}))


def found(folder: Path, **parts: str) -> TaskCode:
    image = image_of(folder, **parts)
    code = find_task_code(image)
    assert code.begin.vaddr == image.exported("begins")
    assert code.end.vaddr == image.exported("ends")
    assert code.begin.emulated and code.end.emulated
    return code


def test_everything_is_found_where_the_code_keeps_it(tmp_path: Path) -> None:
    code = found(tmp_path)
    assert (code.processor_register, code.task_register) == (RBP, R12)
    assert (code.function_offset, code.data_offset) == (0, 8)
    assert (code.size_offset, code.name_offset, code.name_is_pointer) == (0x18, 0x60, False)
    assert [site.function for site in code.pushes] == [
        "ast_taskprocessor_push",
        "ast_taskprocessor_push_local",
    ]
    assert all(site.stack_bytes == 0 for site in code.pushes)  # the return address is on top


def test_a_function_may_be_in_a_register(tmp_path: Path) -> None:
    code = found(
        tmp_path,
        data="mov (%r12), %rax\n mov 0x8(%r12), %rdi",
        call="call *%rax",
        local_call="mov (%r12), %rax\n call *%rax",
    )
    assert (code.task_register, code.function_offset) == (R12, 0)


def test_a_name_may_be_behind_a_pointer(tmp_path: Path) -> None:
    code = found(tmp_path, name="mov 0x10(%rdi), %rax")
    assert (code.name_offset, code.name_is_pointer) == (0x10, True)


def test_an_accessor_that_calculates_is_not_understood(tmp_path: Path) -> None:
    code = found(tmp_path, size="call other", name="mov %rsi, %rdi\n mov 8(%rdi), %rax")
    assert (code.size_offset, code.name_offset) == (None, None)
    assert code.definitions()["SIZE_OFFSET"] == -1


@pytest.mark.parametrize(
    "parts",
    [
        {"kept": "xor %edi, %edi"},
        {"kept": "mov %rdi, %rsi"},  # the callback may change it
        {"call": "call *8(%rax)", "local_call": "call *8(%rax)"},
        {"data": "xor %edi, %edi"},
        {"branch": "nop"},
        {"branch": "jne 9f"},
        {"behind": "mov %rax, %r12\n call other"},
    ],
)
def test_what_is_not_certain_is_refused(tmp_path: Path, parts: dict[str, str]) -> None:
    with pytest.raises(ProbeError):
        find_task_code(image_of(tmp_path, **parts))
