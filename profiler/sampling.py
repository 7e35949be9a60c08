"""Samples the target's threads at a fixed rate of their CPU time, or of the time on each CPU.

By thread: one perf event for each, inherited by the threads that it starts. It counts the thread's
own CPU time, so a thread that sleeps costs nothing and the number of samples is CPU time divided by
the period. But the kernel stops and starts its timer with every switch to or from the thread.

By CPU: one event on each, which samples whoever runs there. Switches cost nothing, and a thread's
number of samples is its CPU time divided by the period on average only.
"""

from __future__ import annotations

import errno
import os
import resource
import struct
from contextlib import suppress

from profiler import syscalls
from profiler.cpus import online_cpus
from profiler.errors import KernelError, TargetError
from profiler.kernel import BpfModule, Program
from profiler.process import read_tids
from profiler.recording import Accounting
from profiler.thinning import Thinned
from profiler.thread_use import read_schedstat
from profiler.unwind import UnwindStack, decode_stack
from profiler.unwind_wire import CPU_COUNTERS, CPU_TIME, SAMPLE

_MISSED_PERIODS = 3  # an inherited event would have fired by then
_ZERO = struct.pack("<I", 0)
_INSTRUCTION = struct.Struct("<BBhi")  # struct bpf_insn: code, registers, offset, immediate
# What cpu.bpf.c does to find the registers of a thread that is in the kernel; helpers by their
# numbers in include/uapi/linux/bpf.h.
_FIND_REGISTERS = b"".join(
    _INSTRUCTION.pack(*instruction)
    for instruction in (
        (0x85, 0, 0, 158),  # call bpf_get_current_task_btf, Linux 5.11
        (0xBF, 1, 0, 0),  # r1 = r0
        (0x85, 0, 0, 175),  # call bpf_task_pt_regs, Linux 5.15
        (0xB7, 0, 0, 0),  # r0 = 0
        (0x95, 0, 0, 0),  # exit
    )
)


def has_task_registers() -> bool:
    """Tell whether this kernel lets samples in the kernel see the user's registers."""
    try:
        os.close(syscalls.load_program(_FIND_REGISTERS, syscalls.PROG_PERF_EVENT, 0, "registers"))
    except OSError:
        return False
    return True


class CpuSampler:
    """Samples one process at a fixed rate of its CPU time."""

    def __init__(self, module: BpfModule, pid: int, frequency_hz: float) -> None:
        self._module = module
        self._pid = pid
        self._period_ns = round(1e9 / frequency_hz)
        self._program = self._load("cpu_sample")
        module.set_tail_call("cpu_programs", 0, self._load("cpu_continue"))
        self._ring = module.ring_buffer("cpu_samples")
        self._events: list[int] = []
        self.by_cpu = False
        self.samples = Thinned()
        self.sampled_tids: set[int] = set()
        self.watched_tids: set[int] = set()  # of which an event may or may not be inherited
        self.warning: str | None = None  # that threads are not sampled, although they should be

    def _load(self, function: str) -> Program:
        try:
            return self._module.load(function, syscalls.PROG_PERF_EVENT)
        except OSError as error:
            raise KernelError(
                f"the kernel refuses the program that samples: {error.strerror}", "ebpf-prof doctor"
            ) from error

    @property
    def program(self) -> Program:
        """The program that runs on each sample."""
        return self._program

    def attach(self, by_cpu: bool = False) -> None:
        """Begin to sample, by thread or by CPU; raises TargetError or KernelError."""
        self.by_cpu = by_cpu
        if by_cpu:
            for cpu in online_cpus():
                self._attach_cpu(cpu)
            return
        found = read_tids(self._pid)
        for tid in found:
            self._attach_thread(tid)
        # Born while we attached: most were started by a thread that has an event by now.
        self.watched_tids = set(read_tids(self._pid)) - set(found)
        if not self._events:
            raise TargetError(f"process {self._pid} has ended", "pgrep -a asterisk")

    def change_to_cpus(self) -> None:
        """Sample by CPU from now on; on KernelError threads are sampled as before."""
        threads, self._events = self._events, []
        try:
            self.attach(by_cpu=True)
        except KernelError:
            self.detach()
            self.by_cpu, self._events = False, threads
            raise
        self.watched_tids.clear()
        syscalls.close_all(threads)

    def attach_missed(self) -> None:
        """Sample the watched threads of which no sample has come although they ran.

        Those that have not run may have inherited an event, and a second one would count twice.
        What the kernel refuses is said in `warning`.
        """
        self.watched_tids -= self.sampled_tids
        for tid in sorted(self.watched_tids):
            used = read_schedstat(self._pid, tid)
            if used is None or used.cpu_ns > _MISSED_PERIODS * self._period_ns:
                self.watched_tids.discard(tid)
                try:
                    self._attach_thread(tid)
                except KernelError as error:  # no reason to give up what all others tell
                    self.warning = f"some threads have no samples: {error.message}"

    def _attach_thread(self, tid: int) -> None:
        try:
            event = syscalls.open_cpu_clock(tid, self._period_ns, inherit=True)
        except OSError as error:
            if error.errno == errno.ESRCH:
                return
            raise self._refused(error, f"thread {tid}") from error
        self._start(event)

    def _attach_cpu(self, cpu: int) -> None:
        try:
            event = syscalls.open_cpu_clock_on(cpu, self._period_ns)
        except OSError as error:
            if error.errno == errno.ENODEV:  # offline by now
                return
            raise self._refused(error, f"CPU {cpu}") from error
        self._start(event)

    def _refused(self, error: OSError, what: str) -> KernelError:
        if error.errno == errno.EMFILE:
            return KernelError(
                f"too many threads to sample: {len(self._events)} events are open",
                "ulimit -n 65536",
            )
        return KernelError(f"cannot sample {what}: {error.strerror}", "ebpf-prof doctor")

    def _start(self, event: int) -> None:
        self._events.append(event)
        try:
            syscalls.run_program_on(event, self._program.descriptor)
        except OSError as error:
            raise KernelError(
                f"cannot run a program on samples: {error.strerror}", "ebpf-prof doctor"
            ) from error

    def drain(self) -> None:
        """Fetch the samples that have come since."""
        for record in self._ring.drain():
            time_ns, stack, tid, _ = SAMPLE.unpack(record[: SAMPLE.size])
            self.samples.add(time_ns, stack, tid)
            self.sampled_tids.add(tid)

    def detach(self) -> None:
        """Stop sampling; what has come can still be fetched."""
        events, self._events = self._events, []
        syscalls.close_all(events)

    def accounting(self) -> Accounting:
        """Return where every sample of the target went; those of other processes are none."""
        counts = {}
        for index, name in enumerate(CPU_COUNTERS):
            values = self._module.map("cpu_counters").values_of_cpus(struct.pack("<I", index))
            counts[name] = sum(int.from_bytes(value, "little") for value in values)
        left_out = self.samples.seen - len(self.samples.kept)
        return Accounting(**{**counts, "kept": counts["kept"] - left_out, "filtered": left_out})

    def stacks(self) -> dict[int, UnwindStack]:
        """Return every stack that was stored, of samples and of lookups, by key."""
        return {
            int.from_bytes(key, "little"): decode_stack(value)
            for key, value in self._module.map("unwind_stacks").items()
        }

    def cost_ns(self, interrupt_ns: int) -> int:
        """Return what samples took from the target: the program, and the interrupts before it."""
        times = self._module.map("cpu_times").values_of_cpus(_ZERO)
        programs: int = sum(CPU_TIME.unpack(time)[1] for time in times)
        return programs + self.accounting().fired * interrupt_ns


def raise_open_files_limit() -> None:
    """Allow as many open files as the hard limit does: each sampled thread needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
