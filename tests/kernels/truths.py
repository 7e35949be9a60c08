"""What the profiler sees beside what is known: exact counts, gdb's frames, threads' lives."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lab import tree
from lab.instance import Instance
from profiler.model.observed import UnwindStack
from profiler.model.recording import Target
from profiler.names.session import NamingSession
from profiler.offcpu.switches import Switches
from profiler.probes.attach import variants_here
from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import PresentThreads
from profiler.process.threads.thread_births import ThreadBirths, find_start_routine_offset
from profiler.process.threads.thread_exits import ThreadExits
from profiler.unwind.beginnings import Beginnings
from profiler.unwind.kernel_tables import TableLibrary
from profiler.waits.reader import WaitReader
from profiler.waits.sources import compile_reader, open_threads
from profiler.wire.offcpu import Control
from tests.bpf.unwinding import (
    gdb_frames,
    outside_of_leaf,
    running,
    sample,
    sample_until,
    unwinding,
)
from tests.counting import Counting
from tests.groundtruth import KINDS, box, possible, wrong_counts
from tests.kernels.place import WHOLE_RATIO, Place, asterisk
from tests.programs import births_module, exits_module, present_threads_module, sampling_module

_LOOKUPS = 23
_SEARCHES = (
    *("hit", "miss", "scan", "partial-miss", "multiple", "locked"),
    *("callback-all", "unlink", "weak"),
)
_SHORT_KINDS = ("hash", "hash-sorted", "list", "rbtree", "rbtree-proxies")
_SHORT_SEARCHES = ("hit", "miss", "scan", "weak")
_SAMPLES = 100
_THREADS = 7
_LOOKS = 3
_WAIT_S = 1.0
_SLEEPS, _SLEEP_S = 20, 0.1
_LEAST_FRAMES = 5  # of a thread of Python that waits


def check_counts(place: Place) -> str:
    """Counts in containers of every kind are those of comparators that count their own calls."""
    return counted(asterisk("16"), KINDS, _SEARCHES)


def counted(target: Instance, kinds: Iterable[str], searches: tuple[str, ...]) -> str:
    """Count lookups in containers of these kinds, in the best way that the kernel has."""
    lookups = 0
    with Counting(target.pid, variants_here()[0]) as counting:
        for kind in kinds:
            with box(target, kind, KINDS[kind]) as made, counting.opened():
                here = [
                    search
                    for search in searches
                    if possible(search, kind, False) and (made.elements or search.endswith("miss"))
                ]
                wrong = wrong_counts(counting, made, here, _LOOKUPS)
                assert not wrong, f"{kind}: {wrong}"
                lookups += len(here) * _LOOKUPS
        counting.check_accounting()
    return f"{lookups} of {lookups}"


def check_new_counts(place: Place) -> str:
    """The same in Asterisk 22, in short."""
    return counted(asterisk("22"), _SHORT_KINDS, _SHORT_SEARCHES)


def check_program_stacks(place: Place) -> str:
    """Stacks of a program in and around system calls have the callers that gdb sees."""
    with running(place.frames, "sm") as target:
        with unwinding(target.pid) as one:
            stacks = sample_until(one, target.pid, are_enough)
        callers = outside_of_leaf(target)
    right = sum(stack.frames[-len(callers) :] == callers for stack in stacks)
    assert right == len(stacks), f"{right} of {len(stacks)}"
    return f"{right} of {right}"


def are_enough(stacks: tuple[UnwindStack, ...]) -> bool:
    """Return whether there are enough stacks of samples in the kernel."""
    return sum(bool(stack.kernel) for stack in stacks) >= _SAMPLES


def check_asterisk_stacks(place: Place) -> str:
    """Stacks of an Asterisk's busy thread have the callers that gdb sees."""
    target = asterisk("16")
    target.groundtruth("spin 1 200")
    try:
        tid = thread_named(target.pid, "gt-spin")
        with unwinding(target.pid) as one:
            stacks = sample(one, (tid,), _SAMPLES).stacks
        # The leaf runs a hundred thousand steps before it is called again.
        program = target.root / tree.BINARY
        seen = [gdb_frames(tid, place.folder, program, target.root) for _ in range(_LOOKS)]
    finally:
        target.groundtruth("unpark")
    # It is in other code in between, now and then.
    callers = Counter(tuple(address for address, _ in frames[1:]) for frames in seen)
    ((expected, _),) = callers.most_common(1)
    right = sum(stack.frames[1:] == expected for stack in stacks)
    assert right >= WHOLE_RATIO * len(stacks), f"{right} of {len(stacks)}"
    return f"{right} of {len(stacks)}"


def thread_named(pid: int, name: str) -> int:
    """Return the one thread of that name."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    (found,) = (thread for thread in threads if (thread / "comm").read_text().strip() == name)
    return int(found.name)


def check_thread_ends(place: Place) -> str:
    """What threads used that ended is reported, with their beginnings."""
    with exits_module(os.getpid()) as module:
        exits = ThreadExits(module)
        for _ in range(_THREADS):
            thread = threading.Thread(target=lambda: None)
            thread.start()
            thread.join()
        found = [one for one in exits.read_last_exits() if one.time.cpu_ns and one.started_ns]
        exits.close()
    assert len(found) == _THREADS, f"{len(found)} of {_THREADS}"
    return f"{_THREADS} of {_THREADS}"


def check_thread_starts(place: Place) -> str:
    """What threads run is reported at their birth, and read of those that wait."""
    target = TargetProcess.open(os.getpid(), 0)
    target.code.refresh()
    routine_at = find_start_routine_offset(target.code.current)
    assert routine_at is not None
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(_THREADS)]
    with births_module(os.getpid(), routine_at) as module:
        births = ThreadBirths(module)
        for thread in threads:
            thread.start()
        born = {tid: routine for tid, (routine, _) in births.read()}
        births.close()
    assert born.keys() == {thread.native_id for thread in threads}
    beginnings = Beginnings(target, TableLibrary(), routine_at)
    with present_threads_module(os.getpid()) as module:
        present = [one for one in PresentThreads(module).read() if one.tid in born]
    read = {one.tid: beginnings.of(replace(one, is_on_cpu=True), 1)[0] for one in present}
    assert read == born
    whole = sum(len(beginnings.of(one, _LEAST_FRAMES)) == _LEAST_FRAMES for one in present)
    over.set()
    assert whole == _THREADS, f"{whole} of {_THREADS}"
    return f"{_THREADS} of {_THREADS}"


def check_off_cpu(place: Place) -> str:
    """Waits are seen with their stacks, as many as there were.

    Python computes before until when it sleeps. Where it does not run between, it sleeps less.
    """
    with sampling_module(os.getpid()) as module:
        switches = Switches(module)
        switches.control(Control(1 << 62, 1))
        switches.attach()
        for _ in range(_SLEEPS):
            time.sleep(_SLEEP_S)
        switches.detach()
        long = [
            wait
            for end_ns, tid, wait in switches.ended()
            if tid == os.getpid() and end_ns - wait.began_ns >= _SLEEP_S * 0.5e9
        ]
    assert len(long) == _SLEEPS, len(long)
    assert all(wait.stack_name is not None for wait in long)
    return f"{_SLEEPS} of {_SLEEPS} sleeps were seen, with stacks"


def check_waiting_threads(place: Place) -> str:
    """Stacks of threads that wait are whole, and it is known since when they do."""
    over, target = threading.Event(), TargetProcess.open(os.getpid(), 0)
    threads = [threading.Thread(target=over.wait) for _ in range(_THREADS)]
    began_ns = time.monotonic_ns()
    for thread in threads:
        thread.start()
    time.sleep(_WAIT_S)
    with ExitStack() as stack:
        read_threads, warnings = open_threads(stack, os.getpid(), compile_reader())
        recorded = Target(os.getpid(), "", None, None, (), None, False)
        reader = WaitReader(target, NamingSession(target, None), recorded, read_threads)
        snapshot = reader.read()
    over.set()
    assert not warnings, warnings
    found = [one for one in map(snapshot.thread, (t.native_id or 0 for t in threads)) if one]
    right = [one for one in found if one.is_whole and len(one.frames) >= _LEAST_FRAMES]
    times = [one.waiting_ns or 0 for one in right]
    since_ns = snapshot.end_ns - began_ns
    assert len(right) == _THREADS, f"{len(right)} of {_THREADS}"
    assert all(_WAIT_S * 0.9e9 < time_ns <= since_ns for time_ns in times), times
    return f"{len(right)} of {_THREADS}"
