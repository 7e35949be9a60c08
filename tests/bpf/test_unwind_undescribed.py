"""Stacks in code that neither the kernel nor the C library describes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from profiler.mappings import VDSO
from profiler.unwind_table import functions
from profiler.unwind_wire import CAUSES
from tests.bpf.unwinding import sample, unwinding
from tests.compiled import build

pytestmark = pytest.mark.root

RANDOM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
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
    for (;;)
        get(bytes, sizeof(bytes), 0, state, wanted.size);
}
"""


def test_code_of_the_vdso_that_nothing_describes_is_left(tmp_path: Path) -> None:
    """The kernel's ChaCha20 there (Linux 6.11) keeps nothing on the stack and has no entry."""
    program = build(tmp_path, RANDOM, "-O2")
    with subprocess.Popen([program]) as process:
        time.sleep(0.2)
        with unwinding(process.pid) as one:
            taken = sample(one, (process.pid,), 200)
            vdso = next(code for code in one.code.current if code.mapping.path == VDSO)
        process.kill()
    assert vdso.file is not None
    described = vdso.mapping.start + functions(vdso.file.elf).ends[-1]
    innermost = [stack.frames[0] for stack in taken.stacks]
    assert sum(described <= at < vdso.mapping.end for at in innermost) > 20
    assert {CAUSES[stack.cause] for stack in taken.stacks} == {"whole"}


BIRTHS = """
#include <pthread.h>
static void *nothing(void *argument) { return argument; }
int main(void)
{
    pthread_t thread;
    for (;;) {
        pthread_create(&thread, NULL, nothing, NULL);
        pthread_join(thread, NULL);
    }
}
"""


def test_threads_without_callers_are_whole(tmp_path: Path) -> None:
    """The kernel starts and ends threads; their stacks are not yet theirs, or gone."""
    program = build(tmp_path, BIRTHS, "-O2", "-pthread")
    with subprocess.Popen([program]) as process:
        time.sleep(0.2)
        with unwinding(process.pid) as one:
            taken = sample(one, (), 4_000, seconds=10)
        process.kill()
    assert len(taken.stacks) >= 1_000
    whole = [stack for stack in taken.stacks if CAUSES[stack.cause] == "whole"]
    alone = [stack for stack in whole if stack.kernel and len(stack.frames) == 1]
    assert len({stack.frames for stack in alone}) == 2  # behind clone, and behind exit
    assert len(alone) >= 20
    # Behind clone, where the C library describes no frame, the new thread runs on in user mode.
    behind_calls = {stack.frames[0] for stack in alone}
    begun = [stack for stack in whole if len(stack.frames) == 1 and stack not in alone]
    assert begun
    for stack in begun:
        assert any(0 <= stack.frames[0] - address < 32 for address in behind_calls)
    # Whoever makes the thread comes back to the same place, and has callers.
    assert [s for s in whole if s.frames and s.frames[0] in behind_calls and len(s.frames) > 3]
    assert [stack for stack in taken.stacks if CAUSES[stack.cause] != "whole"] == []
