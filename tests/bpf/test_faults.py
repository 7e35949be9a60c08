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

from profiler.errors import UsageError
from tests.counted import Program, build_program, running
from tests.live.outside import code_left, leftovers, present
from tests.live.running import Result, command, finished

pytestmark = pytest.mark.root

# What a run calls, by its number: arch/x86/entry/syscalls/syscall_64.tbl. Where one of the first
# fails, the run may end; without all of the others together it still measures.
CALLS = {
    **{"read": 0, "close": 3, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10},
    **{"rt_sigaction": 13, "rt_sigprocmask": 14, "ioctl": 16, "pread64": 17, "dup2": 33},
    **{"socketpair": 53, "clone": 56, "wait4": 61, "fcntl": 72, "fsync": 74, "getcwd": 79},
    **{"chdir": 80, "fchmod": 91, "getdents64": 217, "clock_gettime": 228, "clock_nanosleep": 230},
    **{"epoll_ctl": 233, "openat": 257, "mkdirat": 258, "newfstatat": 262, "renameat": 264},
    **{"epoll_create1": 291, "pipe2": 293, "perf_event_open": 298, "prlimit64": 302},
    **{"process_vm_readv": 310, "prctl": 157, "getrandom": 318, "memfd_create": 319, "bpf": 321},
    **{"pidfd_open": 434, "clone3": 435, "openat2": 437},
}
DISPENSABLE = {
    **{"munmap": 11, "access": 21, "mremap": 25, "madvise": 28, "socket": 41, "connect": 42},
    **{"sendto": 44, "recvfrom": 45, "getsockname": 51, "exit": 60, "uname": 63, "readlink": 89},
    **{"flock": 73, "sysinfo": 99, "setsid": 112, "statfs": 137, "fstatfs": 138},
    **{"sched_getparam": 143},
    **{"sched_setscheduler": 144, "sched_getscheduler": 145, "sched_get_priority_min": 147},
    **{"getpriority": 140, "setpriority": 141, "utimensat": 280, "unlinkat": 263},
    **{"sched_setaffinity": 203, "sched_getaffinity": 204},
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
# Other versions of the C library and of Python use these in place of some of them.
INSTEAD = {
    **{"stat": 4, "fstat": 5, "lstat": 6, "sched_yield": 24, "nanosleep": 35, "vfork": 58},
    **{"restart_syscall": 219, "epoll_wait": 232, "readlinkat": 267, "faccessat": 269},
    **{"ppoll": 271, "epoll_pwait": 281, "dup3": 292, "renameat2": 316, "statx": 332},
    **{"close_range": 436, "faccessat2": 439},
}
DOCUMENTED = (0, 3, 4, 5, 6)
ANEW = {"EBPF_PROF_CACHE": ""}  # nothing is known from runs before
MEASURING = "2s"  # long enough for lookups to be counted
# In a mount namespace in which the file is hidden that holds the kernel's types.
HIDE = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
WITHOUT_BTF = ["unshare", "--mount", "sh", "-c", HIDE, "sh"]
# Everything is imported before calls are refused: the faults are those of profiling, not of Python.
RUN = """
import difflib, concurrent.futures.thread, importlib, multiprocessing.connection, pkgutil, sys
import profiler
from profiler.cli.commands import main
for module in pkgutil.walk_packages(profiler.__path__, "profiler."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from tests.unit import deny_syscall
which, numbers, error = sys.argv[1:4]
del sys.argv[1:4]
getattr(deny_syscall, which)([int(number) for number in numbers.split(",")], int(error))
main()
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Run a small program that passes for an Asterisk and makes lookups."""
    done = threading.Event()
    with running(build_program(tmp_path_factory.mktemp("faults"), "-O2")) as program:

        def look_up() -> None:
            while not done.wait(0.02):
                program.round()

        thread = threading.Thread(target=look_up)
        thread.start()
        folder = tmp_path_factory.mktemp("first") / "result"  # after it nothing is compiled
        check(finished(command(*options(program, folder, "300ms")), folder), program)
        yield program
        done.set()
        thread.join()


def options(target: Program, folder: Path, duration: str) -> list[str]:
    pid = str(target.process.pid)
    return ["asterisk", "-p", pid, "-d", duration, "--budget", "off", "-o", str(folder)]


def run(
    target: Program,
    folder: Path,
    which: str,
    numbers: Collection[int],
    error: int,
    duration: str = "300ms",
    **changes: str,
) -> Result:
    """Profile the target while calls fail."""
    denied = [which, ",".join(map(str, numbers)), str(error)]
    words = [sys.executable, "-c", RUN, *denied, *options(target, folder, duration)]
    return finished(words, folder, 0.0, **changes)


def check_target(target: Program) -> None:
    """Assert that it still runs, and as itself, when there was time to take probes back."""
    assert code_left(target.process.pid) == []
    assert target.process.poll() is None


def check(result: Result, target: Program) -> None:
    """Assert that it ended as documented, with a hint where it failed, and left no probe."""
    if result.code == UsageError.exit_code:  # of a folder for results that cannot be used
        assert result.errors.startswith(f"ebpf-prof: cannot write '{result.folder}"), result.errors
    else:
        assert result.code in DOCUMENTED, result.errors
    if result.code:
        assert re.fullmatch(r"ebpf-prof: [^\n]+\n  try: [^\n]+\n", result.errors), result.errors
    else:
        assert "Traceback" not in result.errors
    check_target(target)


def measured(result: Result) -> bool:
    """Return whether lookups were counted."""
    return any(one["lookups"]["verified"] for one in result.profile()["containers"])


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No program, map or link outlives the runs; to look after each of them takes long."""
    before = present()
    yield
    assert not any(leftovers(before).values())


def test_a_run_makes_no_other_calls(target: Program, tmp_path: Path) -> None:
    known = {"write": WRITE} | CALLS | DISPENSABLE | CANNOT_FAIL | NEEDED | INSTEAD
    result = run(target, tmp_path / "result", "deny_others", known.values(), errno.EPERM)
    assert result.code == 0, result.errors


def test_what_a_run_can_do_without(target: Program, tmp_path: Path) -> None:
    denied = DISPENSABLE.values()
    result = run(target, tmp_path / "result", "deny", denied, errno.EPERM, MEASURING, **ANEW)
    check(result, target)
    assert result.code == 0
    assert measured(result)


def test_costs_that_cannot_be_measured_are_said_to_be_assumed(
    target: Program, tmp_path: Path
) -> None:
    """Both are measured by the CPU clock of our thread, which every machine asks the kernel for."""
    denied = [CALLS["clock_gettime"], time.CLOCK_THREAD_CPUTIME_ID]
    result = run(target, tmp_path / "result", "deny_with_argument", denied, errno.EPERM, **ANEW)
    check(result, target)
    assert result.code == 0
    warnings = " ".join(result.profile()["warnings"])
    assert "the cost of probes is assumed" in warnings
    assert "the cost of samples is partly assumed" in warnings


def test_a_run_that_can_write_nothing_still_has_its_code(target: Program, tmp_path: Path) -> None:
    result = run(target, tmp_path / "result", "deny", [WRITE], errno.EPERM)
    assert (result.code, result.out, result.errors) == (5, "", "")
    check_target(target)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_not_permitted(target: Program, tmp_path: Path, call: str) -> None:
    check(run(target, tmp_path / "result", "deny", [CALLS[call]], errno.EPERM), target)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("bpf", errno.ENOSYS),
        ("mmap", errno.ENOMEM),
        ("openat", errno.EMFILE),
    ],
)
def test_a_call_fails_in_another_way(
    target: Program, tmp_path: Path, call: str, error: int
) -> None:
    check(run(target, tmp_path / "result", "deny", [CALLS[call]], error), target)


def test_without_btf_doctor_and_report_say_what_is_lost(target: Program, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    asked = finished([*WITHOUT_BTF, *command("doctor")], folder, 0.0, **ANEW)
    assert asked.code == 0
    assert re.search(r"^warning  thread ends .* less than 0.2 s", asked.out, re.MULTILINE)
    assert "-> grep DEBUG_INFO_BTF " in asked.out
    words = [*WITHOUT_BTF, *command(*options(target, folder, MEASURING))]
    result = finished(words, folder, 0.0, **ANEW)
    check(result, target)
    assert result.code == 0
    warnings = result.profile()["warnings"]
    assert any(
        "ends of threads are not reported: the kernel has no BTF" in said for said in warnings
    )
    assert measured(result)
