"""Names of a C library's local functions, on small libraries of the same shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary.code_image import CodeImage
from profiler.binary.references import CodeReferences
from profiler.names.c_library import CLibraryNames
from tests.compiled import assemble, build, image_of, symbols_of

VARIANTS = """
static volatile int fast;
static __attribute__((noipa)) int small(int x) { return x + 1; }
static __attribute__((noipa)) int large(int x) { return x + 2; }
static __attribute__((noipa)) int other(int x) { return x + 3; }
static void *resolve(void) { return fast ? (void *)small : (void *)large; }
int compare_all(int x) __attribute__((ifunc("resolve")));
int cmp_all(int x) __attribute__((ifunc("resolve")));
int (*volatile kept)(int) = other;
"""
THREADS = """
    .hidden creator, start, cloner, entry, child, plain
    FUNCTION clone
    ret
    END
    FUNCTION __ctype_init
    ret
    END
    FUNCTION plain
    ret
    END
    FUNCTION start
    call __ctype_init
    ret
    END
    FUNCTION entry
    ret
    END
    FUNCTION child
    mov %r8, %rdi
    call *%rdx
    mov %rax, %rdi
    mov $60, %eax
    syscall
    END
    FUNCTION cloner
    call entry
    call clone
    ret
    END
    FUNCTION creator
    lea plain(%rip), %rdi
    lea start(%rip), %rsi
    call cloner
    ret
    END
    FUNCTION pthread_create
    call plain
    call creator
    ret
    END
"""
CANCELLABLE = """
    .hidden outer, middle, arch
    FUNCTION arch
    mov (%rdi), %eax
    syscall
    ret
    END
    FUNCTION middle
    syscall
    call arch
    ret
    END
    FUNCTION outer
    call middle
    ret
    END
    FUNCTION poll
    jmp outer
    END
"""


def names_of(image: CodeImage) -> CLibraryNames:
    return CLibraryNames(image, CodeReferences(image))


def by_symbol(image: CodeImage, folder: Path) -> dict[str, str | None]:
    names = names_of(image)
    return {name: names.name(start) for name, start in symbols_of(folder / "program").items()}


def test_variants_have_the_longest_name_of_what_they_implement(tmp_path: Path) -> None:
    path = build(tmp_path, VARIANTS, "-shared", "-fPIC", "-O2")
    names = names_of(image_of(path))
    found = {name: names.name(start) for name, start in symbols_of(path).items()}
    assert found["small"] == found["large"] == "compare_all"
    assert found["other"] is None
    assert found["resolve"] is None


def test_functions_that_start_threads_are_known_by_what_they_call(tmp_path: Path) -> None:
    found = by_symbol(assemble(tmp_path, THREADS), tmp_path)
    assert found["start"] == "start_thread"
    assert found["creator"] == "create_thread"
    assert found["cloner"] == "__clone_internal"
    assert found["entry"] == "__clone3_internal"
    assert found["child"] == "__clone3"
    assert found["plain"] is found["pthread_create"] is None


def test_functions_behind_a_system_call_that_can_be_cancelled(tmp_path: Path) -> None:
    found = by_symbol(assemble(tmp_path, CANCELLABLE), tmp_path)
    assert found["outer"] == "__syscall_cancel"
    assert found["middle"] == "__internal_syscall_cancel"
    assert found["arch"] == "__syscall_cancel_arch"


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        (CANCELLABLE, "mov (%rdi), %eax", "mov 8(%rdi), %eax"),
        (CANCELLABLE, "call arch", "nop"),
        (THREADS, "call __ctype_init", "nop"),
    ],
)
def test_other_shapes_have_no_names(tmp_path: Path, source: str, old: str, new: str) -> None:
    found = by_symbol(assemble(tmp_path, source.replace(old, new)), tmp_path)
    assert {name for name in found.values() if name is not None} <= {"__clone3"}
