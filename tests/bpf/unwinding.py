"""Runs test programs, unwinds them in the kernel, and asks gdb about the same stacks."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from profiler.binary.elf import Elf
from profiler.linux import bpf, perf_events
from profiler.linux.bcc import compile_programs
from profiler.linux.cpus import online_cpus
from profiler.linux.module import BpfModule, Program
from profiler.model.observed import UnwindStack
from profiler.process.mappings import TargetCode
from profiler.sampling.sampling_programs import sampling_macros
from profiler.unwind.kernel_tables import TableLibrary, UnwindTables
from profiler.unwind.stacks import UnwoundStacks, stack_name
from profiler.wire.unwind import CPU_COUNTERS, STACK_HEAD
from tests.programs import ROOM
from tests.ways import plain_links

PROGRAMS = Path(__file__).parent / "programs"
PERF_EVENT, KPROBE = 7, 2  # enum bpf_prog_type
PERIOD_NS = 1_000_000

_GDB_SCRIPT = """
set pagination off
set backtrace past-main on
set backtrace past-entry on
set backtrace limit 2000
python
for thread in THREADS:
    thread.switch()
    frame = gdb.newest_frame()
    while frame is not None:
        if frame.type() != gdb.INLINE_FRAME:
            print("FRAME %d %x %s" % (thread.ptid[1], frame.pc(), frame.name() or ""))
        frame = frame.older()
end
"""
_ONE, _ALL = "[gdb.selected_thread()]", "gdb.selected_inferior().threads()"
GdbFrames = tuple[tuple[int, str], ...]


def compile_program(folder: Path, *flags: str, source: str = "frames.c") -> Path:
    """Return the path of a freshly compiled test program."""
    path = folder / ("later.so" if "-shared" in flags else "frames")
    command = ["gcc", "-w", *flags, str(PROGRAMS / source), "-o", str(path), "-lpthread", "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def gdb_frames(tid: int, folder: Path, program: Path, root: Path = Path("/")) -> GdbFrames:
    """Stop a test program and return (address, function) of a thread's frames, leaf first."""
    return _run_gdb(_ONE, tid, folder, program, root)[tid]


def gdb_stacks(
    pid: int, folder: Path, program: Path, root: Path = Path("/")
) -> dict[int, GdbFrames]:
    """Stop a test program and return the same of all its threads, by tid."""
    return _run_gdb(_ALL, pid, folder, program, root)


def _run_gdb(
    threads: str, tid: int, folder: Path, program: Path, root: Path
) -> dict[int, GdbFrames]:
    script = folder / "frames.gdb"
    script.write_text(_GDB_SCRIPT.replace("THREADS", threads))
    settings = ("debuginfod enabled off", "debug-file-directory /nonexistent", f"sysroot {root}")
    quiet = [word for setting in settings for word in ("-iex", f"set {setting}")]
    command = ["gdb", "-nx", "-batch", *quiet, str(program), "-p", str(tid), "-x", str(script)]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    found: dict[int, list[tuple[int, str]]] = {}
    for thread, address, name in re.findall(
        r"^FRAME (\d+) ([0-9a-f]+) (.*)$", run.stdout, re.MULTILINE
    ):
        found.setdefault(int(thread), []).append((int(address, 16), name))
    assert found, run.stdout + run.stderr
    return {thread: tuple(frames) for thread, frames in found.items()}


class TestProgram:
    """A running test program; its newest thread has reached the point that it announces."""

    __test__ = False

    def __init__(self, path: Path, *arguments: str, **environment: str) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [path, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        self.pid = self.process.pid
        self.wait_for(b"loading" if arguments[0].startswith("l") else b"ready")

    def wait_for(self, line: bytes) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == line

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    @property
    def tid(self) -> int:
        return max(int(name) for name in os.listdir(f"/proc/{self.pid}/task"))  # noqa: PTH208

    def gdb_frames(self) -> tuple[tuple[int, str], ...]:
        """Stop the program and return (address, function) of the newest thread, leaf first."""
        return gdb_frames(self.tid, self.path.parent, self.path)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running(path: Path, *arguments: str, **environment: str) -> Iterator[TestProgram]:
    program = TestProgram(path, *arguments, **environment)
    try:
        yield program
    finally:
        program.stop()


@dataclass(frozen=True, slots=True)
class Sampled:
    """What one round of sampling gave."""

    stacks: tuple[UnwindStack, ...]  # one for each sample
    counters: tuple[int, ...]  # by enum cpu_counter
    ns_per_run: float
    runs: int  # of the program, also for other processes

    @property
    def causes(self) -> Counter[int]:
        return Counter(stack.cause for stack in self.stacks)


@dataclass(frozen=True, slots=True)
class Hit:
    """A probe that was met."""

    what: int  # its address, or the thread
    stack: UnwindStack


class Unwinding:
    """Programs and tables for one target."""

    def __init__(
        self,
        pid: int,
        *sources: str,
        sampled_pid: int | None = None,
        ring_bytes: int = ROOM["unwind_stacks"],
        **definitions: int,
    ) -> None:
        self.code = TargetCode(pid)
        self.code.refresh()
        self.library = TableLibrary()
        self.library.prepare(self.code.current)
        macros = {**sampling_macros(), **definitions}
        compiled = compile_programs(sources or ("cpu.bpf.c",), macros)
        sizes = {**ROOM, "unwind_stacks": ring_bytes, **self.library.map_sizes()}
        self.module = BpfModule(compiled, {"TARGET_TGID": sampled_pid or pid}, sizes)
        self.tables = UnwindTables(self.module, self.library)
        self.tables.update(self.code.current)
        self.ring = self.module.ring_buffer("unwind_stacks")
        self.stacks = UnwoundStacks()

    def refresh(self) -> bool:
        changed = self.code.refresh()
        self.tables.update(self.code.current)
        return changed

    def load(self, first: str, following: str, programs: str, *kind: int) -> Program:
        program = self.module.load(first, *kind)
        self.module.set_tail_call(programs, 0, self.module.load(following, *kind))
        return program

    def fetch(self) -> list[int]:
        """Take in the stacks that have come since, and return the name of each sample's."""
        names = []
        for record in self.ring.drain():
            name = stack_name(record)
            if name not in self.stacks:
                self.stacks.add(name, record)
            if STACK_HEAD.unpack_from(record)[2]:
                names.append(name)
        return names

    def hit(self, record: bytes) -> Hit:
        """Return what a record of the ring probe_hits reports."""
        (what,) = struct.unpack_from("<Q", record)
        return Hit(what, self.stacks[stack_name(record[8:])])

    def counters(self, name: str, count: int) -> tuple[int, ...]:
        array = self.module.map(name)
        keys = (struct.pack("<I", index) for index in range(count))
        return tuple(
            sum(int.from_bytes(value, "little") for value in array.values_of_cpus(key))
            for key in keys
        )


@contextmanager
def unwinding(
    pid: int, *sources: str, sampled_pid: int | None = None, **definitions: int
) -> Iterator[Unwinding]:
    """Yield the programs; `ring_bytes` may be among the definitions."""
    one = Unwinding(pid, *sources, sampled_pid=sampled_pid, **definitions)
    try:
        yield one
    finally:
        one.module.close()


def sample(
    one: Unwinding,
    tids: tuple[int, ...],
    samples: int = 200,
    counter: str = "fired",
    pause_s: float = 0.02,
    seconds: float = 120,
) -> Sampled:
    """Sample threads until a counter has grown by so many, or the time is over.

    Without threads every CPU is sampled.
    """
    program = one.load("cpu_sample", "cpu_continue", "cpu_programs", PERF_EVENT)
    statistics = bpf.enable_program_statistics()
    before = program.statistics()
    events = [perf_events.open_cpu_clock(PERIOD_NS, tid=tid) for tid in tids]
    if not tids:
        events = [perf_events.open_cpu_clock(PERIOD_NS, cpu=cpu) for cpu in online_cpus()]
    names: list[int] = []
    try:
        for event in events:
            perf_events.run_program_on(event, program.descriptor)
        deadline = time.monotonic() + seconds
        which = CPU_COUNTERS.index(counter)
        enough = one.counters("cpu_counters", len(CPU_COUNTERS))[which] + samples
        while time.monotonic() < deadline:
            time.sleep(pause_s)
            names += one.fetch()
            if one.counters("cpu_counters", len(CPU_COUNTERS))[which] >= enough:
                break
    finally:
        for event in events:
            os.close(event)
        os.close(statistics)
    time.sleep(0.02)
    names += one.fetch()
    runs = program.statistics().run_count - before.run_count
    spent_ns = program.statistics().run_time_ns - before.run_time_ns
    return Sampled(
        tuple(map(one.stacks.__getitem__, names)),
        one.counters("cpu_counters", len(CPU_COUNTERS)),
        spent_ns / max(1, runs),
        runs,
    )


def outside_of_leaf(target: TestProgram) -> tuple[int, ...]:
    """What gdb sees outside of the leaf, of a program with one thread.

    At one instruction of `work_aligned`, built with -Os, gdb itself loses the way (5 of 400 stops).
    """
    for _ in range(20):
        frames = target.gdb_frames()
        names = [name for _, name in frames]
        if names[-1] == "_start":
            return tuple(address for address, _ in frames[names.index("leaf") + 1 :])
    raise AssertionError(frames)


def sample_until(
    one: Unwinding, tid: int | None, is_enough: Callable[[tuple[UnwindStack, ...]], bool]
) -> tuple[UnwindStack, ...]:
    """Sample a thread or all CPUs until there is enough: what is met by a sample is chance."""
    deadline = time.monotonic() + 120
    stacks: tuple[UnwindStack, ...] = ()
    while not is_enough(stacks):
        assert time.monotonic() < deadline, Counter(stack.frames for stack in stacks)
        stacks += sample(one, () if tid is None else (tid,), 200).stacks
    return stacks


def link_at(
    program: Program, path: str | Path, offsets: Iterable[int], pid: int, is_return: bool = False
) -> list[int]:
    """Attach a program at offsets in a file; return what keeps it there."""
    sites = [bpf.UprobeSite(offset, 0) for offset in offsets]
    links = plain_links().probe_links(program.descriptor, str(path), sites, pid, is_return)
    return [link.open() for link in links]


def file_offsets(path: Path, addresses: Iterable[int]) -> list[int]:
    """Return where virtual addresses of a file lie in it."""
    elf = Elf.from_bytes(path.read_bytes())
    offsets = (elf.offset_of(address) for address in addresses)
    return [offset for offset in offsets if offset is not None]


AT_PROBE = "../tests/bpf/programs/at_probe.bpf.c"


def probe(
    target: TestProgram, addresses: list[int], returns: tuple[int, ...] = (), hits: int = 5_000
) -> list[Hit]:
    """Unwind at so many hits of probes on these addresses of the program, or more, in order."""
    with unwinding(target.pid, AT_PROBE) as one:
        kind = (KPROBE, plain_links().attach_type)
        state_bytes = one.module.map("probe_states").value_size
        one.module.map("probe_states").set(struct.pack("<I", target.tid), bytes(state_bytes))
        program = one.load("probe_hit", "probe_continue", "probe_programs", *kind)
        ring = one.module.ring_buffer("probe_hits")
        links = []
        if returns:
            entry, end = (one.module.load(name, *kind) for name in ("probe_entry", "probe_return"))
            entered = file_offsets(target.path, returns)
            links += link_at(end, target.path, entered, target.pid, is_return=True)
            links += link_at(entry, target.path, entered, target.pid)
        links += link_at(program, target.path, file_offsets(target.path, addresses), target.pid)
        ring.drain()  # of when not every place had its probe
        records: list[bytes] = []
        deadline = time.monotonic() + 120
        while len(records) < hits and time.monotonic() < deadline:
            time.sleep(0.02)
            records += ring.drain()
            one.fetch()
        for number in reversed(links):
            with suppress(OSError):
                os.close(number)
        one.fetch()
    return [one.hit(record) for record in records]
