"""Whichever call of the system fails, a run ends as documented, says why, and leaves nothing.

Python has loaded the profiler's modules when the call begins to fail: what it needs to start is
not ours to mend.
"""

from __future__ import annotations

import errno
import re
import sys
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from tests.counted import build_program, running
from tests.live.outside import changed_code, leftovers, shown
from tests.live.running import Result, command, finished

pytestmark = pytest.mark.root

# What a run calls, by its number: arch/x86/entry/syscalls/syscall_64.tbl. Where one of the first
# fails, the run may end; without all of the others together it still measures.
CALLS = {
    **{"read": 0, "close": 3, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10},
    **{"rt_sigaction": 13, "rt_sigprocmask": 14, "ioctl": 16, "pread64": 17, "dup2": 33},
    **{"socketpair": 53, "clone": 56, "wait4": 61, "fcntl": 72, "fsync": 74, "getcwd": 79},
    **{"chdir": 80, "fchmod": 91, "getdents64": 217, "clock_nanosleep": 230, "epoll_ctl": 233},
    **{"openat": 257, "mkdirat": 258, "newfstatat": 262, "renameat": 264, "epoll_create1": 291},
    **{"perf_event_open": 298, "prlimit64": 302, "process_vm_readv": 310, "getrandom": 318},
    **{
        "pipe2": 293,
        "prctl": 157,
        "memfd_create": 319,
        "bpf": 321,
        "pidfd_open": 434,
        "clone3": 435,
        "openat2": 437,
    },
}
DISPENSABLE = {
    **{"munmap": 11, "access": 21, "mremap": 25, "madvise": 28, "socket": 41, "connect": 42},
    **{"sendto": 44, "recvfrom": 45, "getsockname": 51, "exit": 60, "uname": 63, "readlink": 89},
    **{"sysinfo": 99, "setsid": 112, "statfs": 137, "sched_getparam": 143},
    **{"sched_setscheduler": 144, "sched_getscheduler": 145, "sched_get_priority_min": 147},
    **{"sched_setaffinity": 203, "sched_getaffinity": 204, "clock_gettime": 228},
    **{"set_robust_list": 273, "membarrier": 324, "uretprobe": 335},
}
WRITE = 1
# Left out: these cannot fail, so nobody looks whether they did,
CANNOT_FAIL = {
    **{"getpid": 39, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108},
    **{"getpgrp": 111, "gettid": 186, "exit_group": 231, "rt_sigreturn": 15},
}
# and without these the C library ends the process.
NEEDED = {"brk": 12, "futex": 202, "rseq": 334}
DOCUMENTED = (0, 2, 3, 4, 5, 6)
# In a mount namespace in which the file is hidden that holds the kernel's types.
HIDE = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
WITHOUT_BTF = ["unshare", "--mount", "sh", "-c", HIDE, "sh"]
RUN = """
import sys
from profiler.cli.commands import main
from tests.unit import deny_syscall
which, numbers, error = sys.argv[1:4]
del sys.argv[1:4]
getattr(deny_syscall, which)([int(number) for number in numbers.split(",")], int(error))
main()
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a small program that passes for an Asterisk and makes lookups; its pid."""
    done = threading.Event()
    with running(build_program(tmp_path_factory.mktemp("faults"), "-O2")) as program:

        def look_up() -> None:
            while not done.wait(0.02):
                program.round()

        thread = threading.Thread(target=look_up)
        thread.start()
        yield program.process.pid
        done.set()
        thread.join()


def options(pid: int, folder: Path) -> list[str]:
    return ["asterisk", "-p", str(pid), "-d", "300ms", "--budget", "off", "-o", str(folder)]


def run(pid: int, folder: Path, which: str, numbers: Collection[int], error: int) -> Result:
    """Profile the target while calls fail."""
    denied = [which, ",".join(map(str, numbers)), str(error)]
    return finished([sys.executable, "-c", RUN, *denied, *options(pid, folder)], folder)


def left(pid: int, seconds: float = 60) -> list[str]:
    """Return what is changed in the target's code when there was time to take it back."""
    deadline = time.monotonic() + seconds
    while (changed := changed_code(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return changed


def check(result: Result, pid: int) -> None:
    """Assert that it ended as documented, with a hint where it failed, and left no probe."""
    assert result.code in DOCUMENTED, result.errors
    if result.code:
        assert re.fullmatch(r"ebpf-prof: [^\n]+\n  try: [^\n]+\n", result.errors), result.errors
    else:
        assert "Traceback" not in result.errors
    assert left(pid) == []


def measured(result: Result) -> bool:
    """Return whether lookups were counted."""
    return any(one["lookups"]["verified"] for one in result.profile()["containers"])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No program, map or link outlives a run."""
    before = {kind: set(shown(kind)) for kind in ("prog", "map", "link")}
    yield
    assert not any(leftovers(before).values())


def test_a_run_makes_no_other_calls(target: int, tmp_path: Path) -> None:
    known = {"write": WRITE} | CALLS | DISPENSABLE | CANNOT_FAIL | NEEDED
    result = run(target, tmp_path / "result", "deny_others", known.values(), errno.EPERM)
    assert result.code == 0, result.errors


def test_what_a_run_can_do_without(target: int, tmp_path: Path) -> None:
    denied = DISPENSABLE.values()
    result = run(target, tmp_path / "result", "deny", denied, errno.EPERM)
    check(result, target)
    assert result.code == 0
    assert "the cost of probes is assumed" in result.out
    assert "the cost of samples is partly assumed" in result.out
    assert measured(result)


def test_a_run_that_can_write_nothing_still_has_its_code(target: int, tmp_path: Path) -> None:
    result = run(target, tmp_path / "result", "deny", [WRITE], errno.EPERM)
    assert (result.code, result.out, result.errors) == (5, "", "")


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_not_permitted(target: int, tmp_path: Path, call: str) -> None:
    check(run(target, tmp_path / "result", "deny", [CALLS[call]], errno.EPERM), target)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("bpf", errno.ENOSYS),
        ("clone", errno.EAGAIN),
        ("memfd_create", errno.EMFILE),
        ("mmap", errno.ENOMEM),
        ("openat", errno.EMFILE),
        ("perf_event_open", errno.ENOSYS),
        ("pidfd_open", errno.ENOSYS),
        ("process_vm_readv", errno.ENOSYS),
    ],
)
def test_a_call_fails_in_another_way(target: int, tmp_path: Path, call: str, error: int) -> None:
    check(run(target, tmp_path / "result", "deny", [CALLS[call]], error), target)


def test_without_btf_doctor_and_report_say_what_is_lost(target: int, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    asked = finished([*WITHOUT_BTF, *command("doctor")], folder)
    assert asked.code == 0
    assert re.search(r"^warning  thread ends .* less than 0.2 s", asked.out, re.MULTILINE)
    assert "-> grep DEBUG_INFO_BTF " in asked.out
    result = finished([*WITHOUT_BTF, *command(*options(target, folder))], folder)
    check(result, target)
    assert result.code == 0
    assert "ends of threads are not reported: the kernel has no BTF" in result.out
    assert measured(result)
