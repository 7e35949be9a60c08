"""What threads run, also those that were never sampled, and those that ended."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.instance import Instance
from tests.compiled import build
from tests.live.load import meanwhile
from tests.live.running import profile, profile_traffic

pytestmark = [pytest.mark.live, pytest.mark.root]

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
