from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from profiler.binary.elf import Elf
from profiler.binary.start_routine import start_routine_offset
from tests.compiled import assemble, build

# Looks for the routine and, behind it, the argument in its own descriptor.
SOURCE = r"""
#include <pthread.h>
#include <stdio.h>
static void *routine(void *argument)
{
    void **word = (void **)pthread_self();
    for (long at = 0; at < 0x200; at++)
        if (word[at] == (void *)routine && word[at + 1] == argument)
            printf("%ld\n", at * 8);
    return 0;
}
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, routine, (void *)0x1234567);
    pthread_join(thread, 0);
    FILE *maps = fopen("/proc/self/maps", "r");
    for (char line[500]; fgets(line, 500, maps);)
        fputs(line, stdout);
    return 0;
}
"""
# As glibc 2.31, 2.36 and 2.28 have it.
BY_REGISTERS = """
    mov 0x640(%rcx), %rax
    mov 0x648(%rcx), %rdi
    jne 1f
    call *%rax
    1: mov %rax, %fs:0x630
"""
BY_CALL = """
    mov 0x640(%rbx), %rdi
    call *0x638(%rbx)
    cltq
    mov %rax, %fs:0x628
"""
BY_SEGMENT = """
    mov %fs:0x648, %rdi
    call *%fs:0x640
    mov %rax, %fs:0x630
"""
BY_R12 = """
    mov 0x640(%r12), %rdi
    call *0x638(%r12)
    mov %rax, %fs:0x628
"""


def test_it_is_where_this_library_has_it(tmp_path: Path) -> None:
    program = build(tmp_path, SOURCE, "-O1", "-w", "-pthread")
    offset, *maps = subprocess.check_output([program], text=True).splitlines()
    code = [line.split()[-1] for line in maps if "r-xp" in line]
    (library,) = (path for path in code if "/libc.so" in path)
    assert start_routine_offset(Elf.from_bytes(Path(library).read_bytes())) == int(offset)
    assert start_routine_offset(Elf.from_bytes(program.read_bytes())) is None


def found(folder: Path, *functions: str) -> int | None:
    body = "".join(f"FUNCTION f{i}\n{code}ret\nEND\n" for i, code in enumerate(functions))
    return start_routine_offset(assemble(folder, body).elf)


@pytest.mark.parametrize(
    ("code", "offset"),
    [(BY_REGISTERS, 0x640), (BY_CALL, 0x638), (BY_SEGMENT, 0x640), (BY_R12, 0x638)],
    ids=["registers", "call", "segment", "r12"],
)
def test_every_form(tmp_path: Path, code: str, offset: int) -> None:
    assert found(tmp_path, "nop\n", code, code) == offset


@pytest.mark.parametrize(
    "functions",
    [
        (BY_REGISTERS, BY_CALL),
        (BY_CALL.replace("%rdi", "%rsi"),),
        (BY_CALL.replace("0x628", "0x620"),),
        (BY_CALL.replace("call *0x638", "call *0x630"),),
        (BY_CALL.replace("cltq", "nop\n" * 100),),
        (BY_CALL.replace("0x6", "0x86"),),
    ],
    ids=["two", "other argument", "other result", "other routine", "far away", "too large"],
)
def test_what_is_not_certain_is_not_known(tmp_path: Path, functions: tuple[str, ...]) -> None:
    assert found(tmp_path, *functions) is None
