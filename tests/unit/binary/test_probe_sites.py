from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary.instructions import RCX, RDI, RSI, decode
from profiler.binary.probe_sites import Site, SiteRefusedError, choose_site, is_emulated, site_at
from tests.compiled import assemble, start_of


def place(
    folder: Path, body: str, needed: tuple[int, ...] = (RDI, RSI), returns: bool = False
) -> tuple[int, Site]:
    """Choose the site in the function `f` of `body`; return its offset from the entry too."""
    image = assemble(folder, body)
    address = start_of(image)
    site = choose_site(image, address, "f", needed, returns)
    return site.vaddr - address, site


def refusal(folder: Path, body: str) -> str:
    with pytest.raises(SiteRefusedError) as caught:
        place(folder, body)
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("55", True),
        ("54", True),
        ("4157", True),
        ("4855", False),  # the kernel takes no other prefix
        ("6655", False),
        ("6a01", False),
        ("ff7008", False),
        ("90", True),
        ("6690", False),  # only on recent kernels
        ("0f1f440000", False),
        ("eb10", True),
        ("e910000000", True),
        ("e810000000", True),
        ("7410", True),
        ("0f8410000000", True),
        ("f2eb10", False),
        ("e310", False),
        ("e210", False),
        ("c7f800000000", False),
        ("ff5020", False),
        ("c3", False),
        ("f30f1efa", False),
        ("c5f5ebd0", False),  # vpor has the opcode byte of jmp
        ("4883ec08", False),
    ],
)
def test_which_instructions_are_emulated(code: str, expected: bool) -> None:
    assert is_emulated(decode(bytes.fromhex(code))) is expected


def test_a_push_at_the_entry(tmp_path: Path) -> None:
    offset, site = place(tmp_path, "FUNCTION f\npush %rbp\nmov %rsp,%rbp\npop %rbp\nret\nEND")
    assert (offset, site.instruction, site.emulated, site.stack_bytes) == (0, "push %rbp", True, 0)


def test_file_offset_and_address_differ_by_the_segment(tmp_path: Path) -> None:
    image = assemble(
        tmp_path, "FUNCTION f\nendbr64\npush %rbx\npop %rbx\nret\nEND", "-Wl,-Ttext=0x123040"
    )
    site = choose_site(image, start_of(image), "f")
    assert site.vaddr == 0x123044
    assert image.elf.read(site.file_offset, 2) == b"\x53\x5b"


def test_behind_endbr64(tmp_path: Path) -> None:
    offset, site = place(tmp_path, "FUNCTION f\nendbr64\npush %r12\npop %r12\nret\nEND", (), True)
    assert (offset, site.instruction, site.stack_bytes) == (4, "push %r12", 0)


def test_a_conditional_jump_is_passed_by_every_call(tmp_path: Path) -> None:
    body = "FUNCTION f\ntest %rdi,%rdi\nje 1f\nmov %rsi,%rdi\n1: ret\nEND"
    offset, site = place(tmp_path, body)
    assert (offset, site.emulated) == (3, True)
    assert site.instruction.startswith("je ")


def test_nothing_behind_a_conditional_jump_counts(tmp_path: Path) -> None:
    body = "FUNCTION f\ntest %rdi,%rdi\njrcxz 1f\npush %rbx\npop %rbx\n1: ret\nEND"
    offset, site = place(tmp_path, body)
    assert (offset, site.emulated) == (0, False)
    assert site.reason.startswith("entry")


def test_pushed_bytes_are_reported(tmp_path: Path) -> None:
    body = "FUNCTION f\nsub $24,%rsp\npushq 32(%rsp)\npush %rdi\nadd $40,%rsp\nret\nEND"
    offset, site = place(tmp_path, body)
    assert (offset, site.instruction, site.stack_bytes) == (8, "push %rdi", 32)


def test_a_return_probe_needs_the_return_address_on_top(tmp_path: Path) -> None:
    body = "FUNCTION f\nsub $24,%rsp\npush %rdi\nadd $32,%rsp\nret\nEND"
    offset, site = place(tmp_path, body, returns=True)
    assert (offset, site.instruction, site.emulated) == (0, "sub $0x18,%rsp", False)


def test_a_needed_argument_that_was_overwritten(tmp_path: Path) -> None:
    body = "FUNCTION f\nmov %rsi,%rdi\npush %rbx\npop %rbx\nret\nEND"
    assert place(tmp_path, body)[0] == 0
    assert place(tmp_path, body, needed=(RSI, RCX))[0] == 3


@pytest.mark.parametrize("clobber", ["cpuid", "syscall", "xchg %rdi,%rax", "mov $1,%dil"])
def test_every_way_to_lose_an_argument(tmp_path: Path, clobber: str) -> None:
    body = f"FUNCTION f\nmov %rbx,%r8\n{clobber}\npush %rbp\npop %rbp\nret\nEND"
    needed = (RDI,) if clobber != "cpuid" else (RCX,)
    offset, site = place(tmp_path, body, needed)
    assert (offset, site.emulated) == (0, False)


def test_a_moved_stack_of_unknown_size_ends_the_search(tmp_path: Path) -> None:
    body = "FUNCTION f\nand $-16,%rsp\npush %rbp\nleave\nret\nEND"
    assert place(tmp_path, body)[0] == 0


def test_a_loop_head_is_no_entry(tmp_path: Path) -> None:
    body = "FUNCTION f\nmov %rdi,%rax\n1: test %rax,%rax\nje 2f\ndec %rax\njmp 1b\n2: ret\nEND"
    offset, site = place(tmp_path, body)
    assert (offset, site.emulated) == (0, False)


def test_a_place_before_the_loop_head_is_fine(tmp_path: Path) -> None:
    body = "FUNCTION f\nmov %rdi,%rax\npush %rbx\n1: dec %rax\njne 1b\npop %rbx\nret\nEND"
    offset, site = place(tmp_path, body)
    assert (offset, site.instruction) == (3, "push %rbx")


def test_a_function_that_jumps_to_its_entry(tmp_path: Path) -> None:
    body = "FUNCTION f\npush %rbx\npop %rbx\ndec %rdi\njne f\nret\nEND"
    assert "jumps back to its own entry" in refusal(tmp_path, body)


def test_cold_code_that_comes_back_to_the_first_branch(tmp_path: Path) -> None:
    body = """
FUNCTION f
mov %rdi,%rax
again: test %rax,%rax
je cold
ret
END
FUNCTION cold
inc %rax
jmp again
END"""
    offset, site = place(tmp_path, body)
    assert (offset, site.emulated) == (0, False)


def test_a_tail_call_does_not_come_back(tmp_path: Path) -> None:
    body = """
FUNCTION f
test %rdi,%rdi
je other
ret
END
FUNCTION other
push %rbx
pop %rbx
ret
END"""
    assert place(tmp_path, body)[0] == 3


def test_an_indirect_jump_could_come_back_but_not_before_saved_registers(tmp_path: Path) -> None:
    dispatch = "jmp *%rax\nEND"
    unsafe = f"FUNCTION f\nmov %rdi,%rax\ntest %rdi,%rdi\nje 1f\nret\n1: {dispatch}"
    offset, site = place(tmp_path, unsafe)
    assert (offset, site.emulated) == (0, False)
    saved = f"FUNCTION f\nmov %rdi,%rax\npush %rbx\npop %rbx\n{dispatch}"
    assert place(tmp_path, saved)[0] == 3
    # An argument that is pushed may be pushed again, and so may a register used meanwhile.
    for code in ("push %rdi\nadd $8,%rsp", "mov %rdi,%rbx\npush %rbx\npop %rbx"):
        assert place(tmp_path, f"FUNCTION f\nmov %rdi,%rax\n{code}\n{dispatch}")[0] == 0


def test_bytes_that_are_no_instruction(tmp_path: Path) -> None:
    assert "no instruction" in refusal(tmp_path, "FUNCTION f\npush %rbx\n.byte 6\nret\nEND")


def test_an_address_that_starts_no_function(tmp_path: Path) -> None:
    image = assemble(tmp_path, "FUNCTION f\npush %rbx\npop %rbx\nret\nEND")
    with pytest.raises(SiteRefusedError, match="no frame description starts"):
        choose_site(image, start_of(image) + 1, "f")


NOP5 = ".byte 0x0f,0x1f,0x44,0x00,0x00"


def test_a_long_nop_inside_a_function_is_refused(tmp_path: Path) -> None:
    body = f"FUNCTION f\nmov %rdi,-8(%rsp)\n{NOP5}\nmov -8(%rsp),%rax\nret\nEND"
    image = assemble(tmp_path, body)
    address = start_of(image)
    assert choose_site(image, address, "f").vaddr == address
    with pytest.raises(SiteRefusedError, match="red zone"):
        site_at(image, address + 5, "f", "test")


def test_a_long_nop_as_the_first_instruction_is_allowed(tmp_path: Path) -> None:
    offset, site = place(tmp_path, f"FUNCTION f\n{NOP5}\nret\nEND")
    assert (offset, site.instruction) == (0, "nopl (%rax,%rax)")


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("vpor %xmm0,%xmm1,%xmm2", "taken for another"),
        ("vpxorq %zmm0,%zmm1,%zmm2", "taken for another"),
        ("lock incq (%rdi)", "prefix"),
        (".byte 0x66,0x2e,0x0f,0x1f,0x84,0,0,0,0,0", "prefix"),
        ("notrack jmp *%rax", "prefix"),
        ("int3", "refuses"),
        ("hlt", "refuses"),
        ("ud2", "refuses"),
        ("syscall", "refuses"),
    ],
)
def test_instructions_that_the_kernel_gets_wrong_or_refuses(
    tmp_path: Path, instruction: str, reason: str
) -> None:
    assert reason in refusal(tmp_path, f"FUNCTION f\n{instruction}\nret\nEND")


def test_a_place_in_the_middle(tmp_path: Path) -> None:
    image = assemble(tmp_path, "FUNCTION f\nmov $-1,%esi\ncall f\nret\nEND")
    address = start_of(image)
    site = site_at(image, address + 5, "the call", "why")
    assert site == Site(
        "the call", address + 5, site.file_offset, f"call {address:#x}", True, None, "why"
    )
    with pytest.raises(SiteRefusedError, match="no instruction starts"):
        site_at(image, address + 6, "the call", "why")
