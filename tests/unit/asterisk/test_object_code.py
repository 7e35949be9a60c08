"""Where objects are made and destroyed, in code of several shapes."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.asterisk.object_code import allocations, destructions
from profiler.binary.code_image import CodeImage
from profiler.binary.instructions import R12, RBX
from profiler.binary.probe_sites import SiteRefusedError
from tests.compiled import assemble

# As GCC 10 makes it of Asterisk 16.28: short functions hand everything on.
APART = """
FUNCTION __ao2_alloc
    sub $8, %rsp
    push 0x10(%rsp)
    push %r9
    mov %r8, %r9
    mov %rcx, %r8
    xor %ecx, %ecx
    call inner
    add $0x18, %rsp
    ret
END
FUNCTION __ao2_alloc_with_lockobj
    sub $8, %rsp
    push 0x10(%rsp)
    push %r9
    mov %r8, %r9
    mov $3, %edx
    call inner
    add $0x18, %rsp
    ret
END
FUNCTION inner
    push %r15
    mov %r9, %r15
    pop %r15
    ret
END
"""
# As GCC 12 makes it of 22.10: each function does all of it.
WHOLE = """
FUNCTION __ao2_alloc
    endbr64
    push %r15
    mov %r8, %r15
    pop %r15
    ret
END
FUNCTION __ao2_alloc_with_lockobj
    push %r12
    mov %r8, %r12
    pop %r12
    ret
END
"""
REFERENCE = """
FUNCTION __ao2_ref
    push %{kept}
    mov %rdi, %{kept}
    mov %esi, %eax
    lock xadd %eax, -0x8(%{kept})
    add %esi, %eax
    jg 2f
    {destroy}
1:  movl $0, -0x4(%{kept})
2:  pop %{kept}
    ret
END
"""
LOADED = """
    mov -0x18(%{kept}), %rax
    test %rax, %rax
    je 1f
    mov %{kept}, %rdi
    call *%rax
"""
IN_MEMORY = """
    cmpq $0, -0x18(%{kept})
    je 1f
    mov %{kept}, %rdi
    call *-0x18(%{kept})
"""
WITH_SIZE = LOADED.replace("-0x18", "-0x20")
UNCHECKED = """
    mov -0x18(%{kept}), %rax
    mov %{kept}, %rdi
    call *%rax
"""
NO_DESTRUCTOR = """
    mov 0x18(%{kept}), %rax
    test %rax, %rax
    je 1f
    call *%rax
"""


def reference(tmp_path: Path, destroy: str, kept: str = "rbx") -> CodeImage:
    body = REFERENCE.replace("{destroy}", destroy).replace("{kept}", kept)
    return assemble(tmp_path, body)


def test_functions_that_hand_on_are_watched_where_they_lead_to(tmp_path: Path) -> None:
    image = assemble(tmp_path, APART)
    (found,) = allocations(image)
    assert (found.is_inner, found.site.vaddr) == (True, image.exported("inner"))
    assert found.site.emulated


def test_functions_that_do_all_of_it_are_watched_themselves(tmp_path: Path) -> None:
    found = allocations(assemble(tmp_path, WHOLE))
    assert [allocation.name for allocation in found] == ["__ao2_alloc", "__ao2_alloc_with_lockobj"]
    assert not any(allocation.is_inner for allocation in found)
    assert [allocation.site.instruction for allocation in found] == ["push %r15", "push %r12"]


def test_a_function_that_cannot_have_a_probe_is_refused(tmp_path: Path) -> None:
    body = "FUNCTION __ao2_alloc\n1: dec %edi\n jne __ao2_alloc\n ret\nEND"
    with pytest.raises(SiteRefusedError):
        allocations(assemble(tmp_path, body))


@pytest.mark.parametrize("destroy", [LOADED, IN_MEMORY, WITH_SIZE])
@pytest.mark.parametrize(("kept", "number"), [("rbx", RBX), ("r12", R12)])
def test_an_object_is_destroyed_where_its_destructor_is_looked_at(
    tmp_path: Path, destroy: str, kept: str, number: int
) -> None:
    image = reference(tmp_path, destroy, kept)
    (found,) = destructions(image)
    assert found.register == number
    assert found.site.instruction.startswith("je ") and found.site.emulated


@pytest.mark.parametrize("destroy", [UNCHECKED, NO_DESTRUCTOR])
def test_other_calls_are_not_taken_for_it(tmp_path: Path, destroy: str) -> None:
    assert destructions(reference(tmp_path, destroy)) == ()


def test_a_file_without_such_functions_has_none(tmp_path: Path) -> None:
    image = assemble(tmp_path, "FUNCTION other\n ret\nEND")
    assert (allocations(image), destructions(image)) == ((), ())
