"""Programs that do one thing each: what the report says of their threads, children, descriptors."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import compiled
from tests.live.running import Result, profile

pytestmark = [pytest.mark.live, pytest.mark.root]

HERD = 60
LIMIT = 256
SECONDS = 4
# As fake_asterisk.py, with threads. Functions have no clones, so that their names stay.
SOURCE = r"""
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#define STAYS __attribute__((noinline, noclone, noipa))
void *__ao2_find(void *self, const void *arg, int flags) { return self; }
void *ast_taskprocessor_get(const char *name, int create) { return 0; }
static int ready[2];
STAYS int bridge_channel_wait(void)
{
    struct pollfd asked = { ready[0], POLLIN, 0 };
    return poll(&asked, 1, -1) + 1;
}
STAYS void *bridge_thread(void *unused) { for (;;) bridge_channel_wait(); return unused; }
STAYS void handle(void) { for (volatile int i = 0; i < 500000; i++); }
STAYS void *session(void *unused) { for (;;) { handle(); usleep(20000); } return unused; }
STAYS void *launch(void *unused)
{
    for (;;) system("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done");
    return unused;
}
static void begin(void *(*routine)(void *), int threads)
{
    pthread_t thread;
    while (threads--) pthread_create(&thread, 0, routine, 0);
}
int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 256;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (pipe(ready) || write(ready[1], "x", 1) != 1) return 1;
    switch (argv[1][0]) {
    case 'b': begin(bridge_thread, 1); break;
    case 'h': begin(session, 60); break;
    case 'l': begin(launch, 4); break;
    case 'd': while (dup(0) >= 0); break;
    }
    write(1, "ready\n", 6);
    for (;;) pause();
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stories")
    return compiled.build(folder, SOURCE, "-O2", "-rdynamic", "-w").rename(folder / "asterisk")


@contextmanager
def running(program: Path, story: str) -> Iterator[int]:
    """Start the program with one of its stories, and end it."""
    with subprocess.Popen([program, story], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()


def profiled(program: Path, story: str, folder: Path) -> Result:
    """Profile a story, with so many samples that each busy thread has some."""
    options = ("--cpu-only", "--full", "-F", "997", "--budget", "off")
    with running(program, story) as pid:
        return profile(pid, folder / "result", *options, seconds=SECONDS)


def test_a_busy_loop_is_said_in_plain_words(program: Path, tmp_path: Path) -> None:
    result = profiled(program, "busy", tmp_path)
    first = result.profile()["findings"][0]
    is_saturated = result.profile()["thread_groups"][0]["cpu_ratio"] >= 0.8
    assert first["id"] == "busy-thread"
    assert first["severity"] == ("saturated" if is_saturated else "cpu")
    assert "bridge_thread: a busy loop uses" in first["title"]
    (path,) = result.profile()["thread_groups"][0]["paths"]
    assert path["frames"][0] == "bridge_channel_wait"
    assert path["busy_loop_ratio"] > 0.9
    assert "bridge_channel_wait > poll (busy loop: " in " ".join(result.out.split())


def test_alike_threads_are_one_row_and_one_finding_at_most(program: Path, tmp_path: Path) -> None:
    result = profiled(program, "herd", tmp_path)
    report = result.profile()
    herd = report["thread_groups"][0]
    assert (herd["title"], len(herd["tids"])) == ("session", HERD)
    assert herd["paths"][0]["frames"] == ["handle"]
    assert len(report["findings"]) <= 1
    assert f"×{HERD} " in result.out


def test_children_are_said_to_use_the_cpu(program: Path, tmp_path: Path) -> None:
    result = profiled(program, "launch", tmp_path)
    report = result.profile()
    assert report["children"]["cpu_ratio"] > 0.05
    assert "sh" in [one["name"] for one in report["children"]["seen"]]
    assert report["findings"][0]["id"] == "children"
    assert "  Processes that it started used " in result.out


def test_descriptors_at_the_limit_come_first(program: Path, tmp_path: Path) -> None:
    report = profiled(program, "descriptors", tmp_path).profile()
    assert report["descriptors"] == {"open_max": LIMIT, "limit": LIMIT}
    first = report["findings"][0]
    assert (first["id"], first["severity"]) == ("descriptors", "lost")
    assert first["title"] == f"{LIMIT} of {LIMIT} descriptors are open"
