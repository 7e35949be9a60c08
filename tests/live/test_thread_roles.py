"""What threads run, also those that were never sampled, and those that ended."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.instance import Instance
from profiler.asterisk.find import find_asterisk
from profiler.process.threads.thread_uses import ThreadUses
from profiler.record.preparation.sampling import Options
from profiler.record.progress import Stop
from profiler.record.recorder import record
from profiler.report.threads.thread_roles import thread_roles
from profiler.sampling.sampling_programs import compile_sampling
from tests.compiled import build
from tests.live.load import meanwhile
from tests.live.running import LIMIT_S, profile, profile_traffic

pytestmark = [pytest.mark.live, pytest.mark.root]

SECOND_NS = 1_000_000_000

# Poses as an Asterisk: a thread for each request, some of them too short for any sample.
SOURCE = r"""
#include <pthread.h>
#include <time.h>
#include <unistd.h>
void *__ao2_find(void *container, const void *key, int flags) { return 0; }
void *ast_taskprocessor_get(const char *name, int options) { return 0; }
static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}
static void *request(void *argument)
{
    for (double end = cpu_s() + 0.001; cpu_s() < end;) {}
    return argument;
}
static void *idle(void *argument) { for (;;) usleep(300000); }
int main(void)
{
    pthread_t thread;
    for (int number = 0; number < 20; number++)
        pthread_create(&thread, 0, idle, 0);
    for (;;) {
        pthread_create(&thread, 0, request, 0);
        pthread_join(thread, 0);
    }
}
"""

# Poses as an Asterisk: a thread that ends when it is told to, and the main one at the end of input.
BRIEF = r"""
#include <pthread.h>
#include <unistd.h>
void *__ao2_find(void *container, const void *key, int flags) { return 0; }
void *ast_taskprocessor_get(const char *name, int options) { return 0; }
static void *request(void *argument)
{
    char told;
    read(0, &told, 1);
    return argument;
}
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, request, 0);
    pthread_join(thread, 0);
    char told;
    while (read(0, &told, 1) > 0) {}
}
"""


def wait_for_threads(folder: Path, count: int) -> None:
    """Wait until that folder of /proc lists so many threads."""
    until = time.monotonic() + LIMIT_S
    while len(list(folder.iterdir())) != count:
        assert time.monotonic() < until
        time.sleep(0.001)


def roles(report: dict[str, Any]) -> Counter[str | None]:
    """Return how many threads that used CPU time run what."""
    found: Counter[str | None] = Counter()
    for thread in report["threads"]:
        found[thread["role"]] += thread["count"] if thread["cpu_ratio"] else 0
    return +found


def test_short_threads_and_idle_ones_are_known_without_a_sample(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = build(tmp_path / "bin", SOURCE, "-O2", "-w", "-rdynamic", "-pthread")
    program = program.rename(program.with_name("asterisk"))
    with subprocess.Popen([program]) as process:
        result = profile(process.pid, tmp_path / "result", "--cpu-only", "-F", "20", seconds=3)
        process.kill()
    report = result.profile()
    found = roles(report)
    assert found.keys() == {"main", "request", "idle"}
    assert (found["main"], found["idle"]) == (1, 20)
    sampled = sum(one["samples"] for one in report["threads"] if one["role"] == "request")
    assert found["request"] - sampled > 50  # so many at least were never sampled


def test_a_thread_is_known_that_ends_as_soon_as_recording_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = build(tmp_path / "bin", BRIEF, "-O2", "-w", "-rdynamic", "-pthread")
    program = program.rename(program.with_name("asterisk"))
    start = ThreadUses.start
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        threads = Path(f"/proc/{process.pid}/task")
        assert process.stdin is not None
        told = process.stdin.fileno()

        def start_and_end_it(uses: ThreadUses) -> None:
            start(uses)
            os.write(told, b".")
            wait_for_threads(threads, 1)

        monkeypatch.setattr(ThreadUses, "start", start_and_end_it)
        wait_for_threads(threads, 2)
        target, options = find_asterisk(process.pid), Options(SECOND_NS, lookups=False)
        recording = record(
            target, options, compile_sampling(True), Stop(), lambda _: None, lambda _: None
        )
    assert {role.name for role in thread_roles(recording).values()} == {"main", "request"}
    assert {use.tid == process.pid: use.exited for use in recording.threads} == {
        True: False,
        False: True,
    }


@pytest.mark.parametrize("version", ["sip", "pjsip"])
def test_every_thread_of_asterisk_that_used_the_cpu_is_known(
    version: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    asterisk: Instance = request.getfixturevalue(version)
    with meanwhile(lambda: asterisk.cli("core show version")):
        result, sent = profile_traffic(
            asterisk, tmp_path / "result", "calls", 10, "--cpu-only", seconds=6
        )
    assert sent.successful > 10  # beside other work some calls fail
    report = result.profile()
    found = roles(report)
    assert None not in found
    (main,) = (one for one in report["threads"] if one["tid"] == asterisk.pid)
    assert main["role"] == "~main"
    assert found.most_common(1)[0][1] > 30  # one for each command, all of one role
