"""Processes found by their root directory, on real ones."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import process
from tests.compiled import build

# The first thread ends at once; the other lives on with everything that the process has open.
LEADER_ENDS = """
#include <pthread.h>
#include <unistd.h>
static void *stay(void *x) { write(1, "ready\\n", 6); sleep(30); return x; }
int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, 0, stay, 0))
        return 1;
    pthread_exit(0);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("root"), LEADER_ENDS, "-static", "-pthread")


@pytest.fixture
def running(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = ["chroot", str(program.parent), "/program"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as one:
        assert one.stdout
        assert one.stdout.readline() == b"ready\n"
        yield one
        one.kill()


def leader_ended(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.root
def test_a_process_is_found_after_its_first_thread_ended(
    program: Path, running: subprocess.Popen[bytes]
) -> None:
    while not leader_ended(running.pid):
        time.sleep(0.005)
    assert process.in_root(program.parent) == [running.pid]
    assert not process.ended(running.pid)
    assert not process.wait_gone(program.parent, 0.05)
    process.send([running.pid], signal.SIGKILL)
    assert process.wait_gone(program.parent, 10)
    assert process.ended(running.pid)


def test_another_root_is_not_this_one(tmp_path: Path) -> None:
    assert process.in_root(tmp_path) == []
    assert process.in_root(tmp_path / "missing") == []


def test_a_signal_to_nobody_is_no_error() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    process.send([ended.pid], signal.SIGTERM)


def test_a_process_that_is_gone_has_no_name() -> None:
    assert process.name(os.getpid()) != ""
    assert process.name(0) == ""
