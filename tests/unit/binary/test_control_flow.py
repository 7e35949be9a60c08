from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary.code_image import CodeImage
from profiler.binary.control_flow import CodeFlow, flow_of, thunk_register
from profiler.binary.instructions import R11, RAX, RBX, RSI
from tests.compiled import assemble, build, code_of, image_of, start_of, symbols_of


def flow(folder: Path, body: str) -> tuple[CodeImage, CodeFlow, int]:
    image = assemble(folder, body)
    found = flow_of(image, start_of(image))
    assert found is not None
    return image, found, start_of(image)


@pytest.mark.parametrize(
    ("before", "value"),
    [
        ("mov $-1,%esi", -1),
        ("or $-1,%esi", -1),
        ("or $-1,%ebx\nmov %ebx,%esi", -1),
        ("push $-1\npop %rsi", -1),
        ("mov $0xffffffff,%esi\nmov %rdi,%rax", -1),
        ("xor %esi,%esi", 0),
        ("mov $7,%esi\nmov %rdi,%rsi", None),
        ("mov $-1,%esi\ncall f", None),
        ("mov $-1,%esi\n1: test %rdi,%rdi\nje 1b", None),
        ("mov $-1,%esi\ninc %esi", None),
        ("push $-1\nnop\npop %rsi", None),
        ("mov $-1,%esi\nsyscall", None),
    ],
)
def test_constants_in_straight_lines(tmp_path: Path, before: str, value: int | None) -> None:
    image, found, _ = flow(
        tmp_path, f"FUNCTION f\n{before}\ncall g\nret\nEND\nFUNCTION g\nret\nEND"
    )
    last_call = [i for i in code_of(image) if i.mnemonic == "call"][-1]
    assert found.constants(RSI).get(last_call.address) == value


@pytest.mark.parametrize(
    ("code", "offsets"),
    [
        ("call *0x20(%rax)", {0x20}),
        ("call *(%rbx)", {0}),
        ("mov 0x28(%rax),%r11\ncall *%r11", {0x28}),
        ("mov 0x28(%rax),%rbx\nmov %rbx,%r11\ncall *%r11", {0x28}),
        ("mov 0x28(%rax),%r11d\ncall *%r11", set()),
        ("mov 0x28(%rsp),%r11\ncall *%r11", set()),
        ("call *0x20(%rsp)", set()),
        ("call *-0x20(%rbp)", set()),
        ("call *0x20(%rax,%rcx,8)", set()),
        ("mov 0x28(%rax),%r11\ncall *%rax", set()),
        ("mov 0x30(%rax),%r11\ncall thunk", {0x30}),
    ],
)
def test_offsets_that_functions_are_called_through(
    tmp_path: Path, code: str, offsets: set[int]
) -> None:
    thunk = "FUNCTION thunk\ncall 2f\n1: pause\nlfence\njmp 1b\n2: mov %r11,(%rsp)\nret\nEND"
    _, found, _ = flow(tmp_path, f"FUNCTION f\n{code}\nret\nEND\n{thunk}")
    assert found.indirect_call_offsets() == offsets


@pytest.mark.parametrize(
    ("body", "register"),
    [
        ("call 2f\n1: pause\nlfence\njmp 1b\n.p2align 4\n2: mov %rax,(%rsp)\nret", RAX),
        ("call 2f\n1: pause\njmp 1b\n2: mov %rbx,(%rsp)\nret", RBX),
        ("jmp *%r11", R11),
        ("lfence\njmp *%r11", R11),
        ("ret", None),
        ("mov %rax,8(%rsp)\nret", None),
        ("mov %rdi,%rax\njmp *%rax", None),
        ("push %rbx\npop %rbx\nret", None),
        (".byte 6", None),
    ],
)
def test_thunks(tmp_path: Path, body: str, register: int | None) -> None:
    image = assemble(tmp_path, f"FUNCTION f\n{body}\nEND")
    assert thunk_register(image, image.exported("f") or 0) == register


def test_cold_code_belongs_to_the_function_that_branches_to_it(tmp_path: Path) -> None:
    body = """
FUNCTION f
test %rdi,%rdi
je cold
again: ret
END
FUNCTION cold
call g
jmp again
END
FUNCTION g
ret
END"""
    image, found, start = flow(tmp_path, body)
    assert [target for _, target in found.direct_calls()] == [image.exported("g")]
    call = next(instruction for instruction, _ in found.direct_calls())
    assert start in found.reaching({call.address})
    assert call.address in found.reaching({start + 5})
    assert call.address not in found.reaching({start})


def test_jumps_out_of_the_function_count_as_calls(tmp_path: Path) -> None:
    image, found, _ = flow(tmp_path, "FUNCTION f\njmp g\nEND\nFUNCTION g\nret\nEND")
    assert list(found.calls()) == [image.exported("g")]


def test_no_function_no_flow(tmp_path: Path) -> None:
    image = assemble(tmp_path, "FUNCTION f\n.byte 6\nEND")
    start = image.exported("f") or 0
    assert flow_of(image, start) is None
    assert flow_of(image, start + 1) is None


@pytest.mark.parametrize(
    "flags",
    ["-O0", "-O0 -fcf-protection", "-O1", "-O2 -fcf-protection", "-O3", "-Os", "-O0 -fno-pie"],
)
def test_functions_that_return_one_constant(tmp_path: Path, flags: str) -> None:
    source = """
    int zero(const void *object, int flags) { return 0; }
    int seven(const void *object, int flags) { return 7; }
    int given(const void *object, int flags) { return flags; }
    int loaded(const int *object, int flags) { return *object; }
    int either(const void *object, int flags) { if (flags) return given(object, 1); return 0; }
    int main(void) { return 0; }
    """
    program = build(tmp_path, source, *flags.split(), "-w")
    image, symbols = image_of(program), symbols_of(program)
    found = {
        name: flow.constant_result()
        for name in ("zero", "seven", "given", "loaded", "either")
        if (flow := flow_of(image, symbols[name]))
    }
    assert found == {"zero": 0, "seven": 7, "given": None, "loaded": None, "either": None}


def test_a_loop_but_for_its_beginning(tmp_path: Path) -> None:
    body = """
FUNCTION f
again: mov (%rdi),%rax
call *0x20(%rax)
next: call g
test %rax,%rax
jne next
call g
test %rbx,%rbx
jne again
ret
END
FUNCTION g
ret
END"""
    _, found, _ = flow(tmp_path, body)
    begins = found.slot_uses(0x20)
    assert len(begins) == 1
    inside, after = (call.address for call, _ in found.direct_calls())
    assert found.repeats(inside, begins)
    assert found.repeats(after, set())
    assert not found.repeats(after, begins)
