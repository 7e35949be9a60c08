"""However many different stacks there were before, what comes late is seen."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.live.running import started
from tests.unit.fake_asterisk import build, start

pytestmark = [pytest.mark.live, pytest.mark.root]

# Until SIGUSR1 nearly every sample has a stack of its own, one way through a tree of calls.
SOURCE = r"""
#include <signal.h>
#include <unistd.h>
#define FUNCTION __attribute__((noinline, noclone, noipa)) void
#define LAST_CALL __asm__ volatile("" ::: "memory")
void *__ao2_find(void *self, const void *arg, int flags) { return self; }
void *ast_taskprocessor_get(const char *name, int create) { return 0; }
static volatile sig_atomic_t is_late;
static void on_signal(int number) { is_late = 1; }
FUNCTION left(unsigned way, int depth);
FUNCTION right(unsigned way, int depth);
static inline void go(unsigned way, int depth)
{
    if (!depth)
        for (volatile int i = 0; i < 3000; i++) ;
    else if (way & 1)
        left(way >> 1, depth - 1);
    else
        right(way >> 1, depth - 1);
    LAST_CALL;
}
FUNCTION left(unsigned way, int depth) { go(way, depth); }
FUNCTION right(unsigned way, int depth) { go(way, depth); }
FUNCTION late_work(void) { for (volatile int i = 0; i < 100000; i++) ; }
int main(void)
{
    unsigned way = 1;
    signal(SIGUSR1, on_signal);
    write(1, "ready\n", 6);
    while (!is_late)
        go((way = way * 1664525u + 1013904223u) >> 8, 24);
    for (;;)
        late_work();
}
"""
DISTINCT = 10_000
LATE = 3_000
SECONDS = 600  # the runs are ended when they have seen enough


def test_what_comes_after_thousands_of_stacks_is_not_lost(tmp_path: Path) -> None:
    target = start(build(tmp_path, "asterisk", "-O1", source=SOURCE))
    try:
        options = ("--cpu-only", "-F", "2000", "--budget", "off")
        with started(target.pid, tmp_path / "result", *options, seconds=SECONDS) as running:

            def has_seen(samples: int) -> bool:
                return any(seen >= samples for _, seen, _ in running.progress())

            running.wait_for(lambda: has_seen(DISTINCT))
            os.kill(target.pid, signal.SIGUSR1)
            seen = running.progress()[-1][1]
            running.wait_for(lambda: has_seen(seen + LATE))
            running.send(signal.SIGINT)
            result = running.finish()
    finally:
        target.kill()
        target.wait()
    assert result.code == 0, result.errors
    counts = result.profile()["accounting"]["samples"]
    assert (counts["lost"], counts["filtered"]) == (0, 0)
    stacks = result.folded("cpu.folded")
    assert len(stacks) > DISTINCT * 0.9
    late = sum(weight for stack, weight in stacks if stack[-1] == "late_work")
    assert late > LATE / 2
