"""Stacks in code that neither the kernel nor the C library describes."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary.functions import functions
from profiler.model.observed import UnwindStack
from profiler.process.mappings import VDSO
from profiler.wire.unwind import CAUSES
from tests.bpf.unwinding import running, sample_until, unwinding
from tests.compiled import build

pytestmark = pytest.mark.root

RANDOM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>

/* linux/include/uapi/linux/random.h, struct vgetrandom_opaque_params */
struct parameters { unsigned size, prot, flags, reserved[13]; };
typedef ssize_t (*random_fn)(void *, size_t, unsigned, void *, size_t);

int main(void)
{
    static char bytes[4096];
    struct parameters wanted;
    random_fn get = (random_fn)dlsym(dlopen("linux-vdso.so.1", RTLD_LAZY), "__vdso_getrandom");
    if (!get || get(NULL, 0, 0, &wanted, ~0UL))
        return 1;
    void *state = mmap(NULL, 4096, wanted.prot, wanted.flags, -1, 0);
    puts("ready");
    fflush(stdout);
    for (;;)
        get(bytes, sizeof(bytes), 0, state, wanted.size);
}
"""


def test_code_of_the_vdso_that_nothing_describes_is_left(tmp_path: Path) -> None:
    """The kernel's ChaCha20 there (Linux 6.11) keeps nothing on the stack and has no entry."""
    program = build(tmp_path, RANDOM, "-O2")
    with running(program, "") as process, unwinding(process.pid) as one:
        vdso = next(code for code in one.code.current if code.mapping.path == VDSO)
        assert vdso.file is not None
        described = vdso.mapping.start + functions(vdso.file.elf).ends[-1]

        def is_undescribed(stack: UnwindStack) -> bool:
            return described <= stack.frames[0] < vdso.mapping.end

        stacks = sample_until(one, process.pid, lambda all: sum(map(is_undescribed, all)) > 20)
    assert {CAUSES[stack.cause] for stack in stacks} == {"whole"}


VFORK = """
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    puts("ready");
    fflush(stdout);
    for (;;) {
        int status;
        pid_t child = vfork();
        if (!child)
            _exit(0);
        waitpid(child, &status, 0);
    }
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc"])
def test_who_called_vfork_is_known(tmp_path: Path, compiler: str) -> None:
    """Its return address is in a register while the child runs on its stack."""
    program = build(tmp_path, VFORK, "-O2", compiler=compiler)
    with running(program, "") as process, unwinding(process.pid) as one:
        stacks = sample_until(one, process.pid, lambda all: len(all) > 300)
    assert {CAUSES[stack.cause] for stack in stacks} == {"whole"}


MUSL = """
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char from[1 << 16], to[1 << 16];
static int values[2000];
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
__attribute__((noinline)) static void *work(void *argument)
{
    char text[99];
    for (;;) {
        memcpy(to, from, sizeof(to));
        for (int i = 0; i < 2000; i++)
            values[i] = rand();
        qsort(values, 2000, sizeof(int), compare);
        for (int i = 0; i < 200; i++) {
            snprintf(text, sizeof(text), "%d %s %f", i, "x", i * .5);
            free(malloc(i * 9 + 1));
        }
    }
    return argument;
}
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    puts("ready");
    fflush(stdout);
    pthread_join(thread, NULL);
}
"""


def test_stacks_through_musl_are_whole(tmp_path: Path) -> None:
    program = build(tmp_path, MUSL, "-O2", compiler="musl-gcc")
    with running(program, "") as process, unwinding(process.pid) as one:
        stacks = sample_until(one, process.tid, lambda all: len(all) > 1_000)
        own = [code for code in one.code.current if code.mapping.path == str(program)]
    assert {CAUSES[stack.cause] for stack in stacks} == {"whole"}
    # The program's only frame in each stack, but for `compare`, is that of `work`.
    low, high = own[0].mapping.start, own[0].mapping.end
    callers = [[one for one in stack.frames[1:] if low <= one < high] for stack in stacks]
    assert all(len(found) <= 2 for found in callers)
    assert sum(len(found) for found in callers) > len(stacks) / 2


BIRTHS = """
#include <pthread.h>
#include <stdio.h>
static void *nothing(void *argument) { return argument; }
int main(void)
{
    pthread_t thread;
    puts("ready");
    fflush(stdout);
    for (;;) {
        pthread_create(&thread, NULL, nothing, NULL);
        pthread_join(thread, NULL);
    }
}
"""


def test_threads_without_callers_are_whole(tmp_path: Path) -> None:
    """The kernel starts and ends threads; their stacks are not yet theirs, or gone."""
    program = build(tmp_path, BIRTHS, "-O2", "-pthread")
    with running(program, "") as process, unwinding(process.pid) as one:
        stacks = sample_until(one, None, has_all_kinds)
    assert {CAUSES[stack.cause] for stack in stacks} == {"whole"}
    alone, begun = lonely(stacks)
    assert len({stack.frames for stack in alone}) == 2
    # Behind clone, where the C library describes no frame, the new thread runs on in user mode.
    behind_calls = {stack.frames[0] for stack in alone}
    for stack in begun:
        assert any(0 <= stack.frames[0] - address < 32 for address in behind_calls)


def lonely(stacks: tuple[UnwindStack, ...]) -> tuple[list[UnwindStack], list[UnwindStack]]:
    """Return stacks of one frame: those in the kernel, and those in user mode."""
    one = [stack for stack in stacks if len(stack.frames) == 1]
    return [stack for stack in one if stack.kernel], [stack for stack in one if not stack.kernel]


def has_all_kinds(stacks: tuple[UnwindStack, ...]) -> bool:
    """Behind clone and behind exit; in user mode; and of who makes the threads, with callers."""
    alone, begun = lonely(stacks)
    behind_calls = {stack.frames[0] for stack in alone}
    callers = [s for s in stacks if s.frames and s.frames[0] in behind_calls and len(s.frames) > 3]
    return len(alone) >= 20 and len(behind_calls) >= 2 and bool(begun) and bool(callers)
