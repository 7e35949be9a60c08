"""Samples the target at a fixed rate of the time on each CPU.

One perf event on each CPU interrupts whoever runs there; the program leaves others than the target
alone. A thread's number of samples is its CPU time divided by the period, on average. An event on
each thread would be exact, but the kernel would stop and start its timer with every switch.
"""

from __future__ import annotations

import errno
import os
import struct

from profiler.errors import KernelError
from profiler.linux import bpf, perf_events
from profiler.linux.cpus import online_cpus
from profiler.linux.module import BpfModule, Program
from profiler.model.recording import Accounting
from profiler.sampling.bounded_samples import SAMPLES_MAX, BoundedSamples
from profiler.unwind.stacks import UnwoundStacks, stack_name
from profiler.wire.unwind import CPU_COUNTERS, CPU_TIME, STACK_HEAD, WHOLE

_ZERO = struct.pack("<I", 0)
# Of each sample, so long that nobody may come to fetch any while lookups are prepared: 4 s of
# stacks that are all new and have 120 frames each.
_RING_BYTES_PER_HZ = 4096
_RING_BYTES = (1 << 20, 1 << 26)
# More than there are samples, so that forgetting those without any takes little time in all.
_STACKS_MAX = SAMPLES_MAX + SAMPLES_MAX // 4
# Of code in all stacks; so many take 525 MB.
_ADDRESSES_MAX = 4_000_000


def ring_bytes(frequency_hz: float, cpus: int) -> int:
    """Return the size of the ring that holds samples until they are fetched, a power of two."""
    least, most = _RING_BYTES
    wanted = round(frequency_hz * cpus * _RING_BYTES_PER_HZ)
    return min(max(1 << (wanted - 1).bit_length(), least), most)


def _refused(cpu: int, error: OSError) -> KernelError:
    return KernelError(f"cannot sample CPU {cpu}: {error.strerror}", "ebpf-prof doctor")


class CpuSampler:
    """Samples the process that the module was compiled for."""

    def __init__(self, module: BpfModule, frequency_hz: float) -> None:
        self._module = module
        self._period_ns = round(1e9 / frequency_hz)
        self._program = self._load("cpu_sample")
        module.set_tail_call("cpu_programs", 0, self._load("cpu_continue"))
        self._ring = module.ring_buffer("unwind_stacks")
        sent = module.map("unwind_sent")
        self._sent = sent.memory(sent.max_entries * sent.value_size)
        self._events: dict[int, int] = {}  # by CPU
        self._of_lookups: set[int] = set()  # names of stacks
        self._nameless = 0  # samples whose stack is not known
        self.samples = BoundedSamples()
        self._most_stacks = _STACKS_MAX
        self._most_addresses = _ADDRESSES_MAX
        self.stacks = UnwoundStacks()  # of samples and of lookups
        self.warning: str | None = None  # that a CPU is not sampled

    def _load(self, function: str) -> Program:
        try:
            return self._module.load(function, bpf.PROG_PERF_EVENT)
        except OSError as error:
            raise KernelError(
                f"the kernel refuses the program that samples: {error.strerror}", "ebpf-prof doctor"
            ) from error

    @property
    def program(self) -> Program:
        """The program that runs on each sample."""
        return self._program

    def attach(self) -> None:
        """Begin to sample all CPUs that are online now, and no others; raises KernelError."""
        online = online_cpus()
        bpf.close_all(self._events.pop(cpu) for cpu in self._events.keys() - set(online))
        for cpu in online:
            if cpu not in self._events:
                self._attach_cpu(cpu)

    def follow_cpus(self) -> None:
        """Sample CPUs that came online since; what the kernel refuses is said in `warning`."""
        try:
            self.attach()
        except KernelError as error:  # no reason to give up what the others report
            self.warning = f"work on some CPUs has no samples: {error.message}"

    def _attach_cpu(self, cpu: int) -> None:
        try:
            event = perf_events.open_cpu_clock(self._period_ns, cpu=cpu)
        except OSError as error:
            if error.errno == errno.ENODEV:  # offline by now
                return
            raise _refused(cpu, error) from error
        try:
            perf_events.run_program_on(event, self._program.descriptor)
        except OSError as error:
            os.close(event)
            raise _refused(cpu, error) from error
        self._events[cpu] = event

    def drain(self) -> None:
        """Fetch the samples and stacks that have come since."""
        self._fetch()
        if len(self.stacks) > self._most_stacks:
            self._forget_stacks()
        elif self.stacks.address_count > self._most_addresses:
            self._forget_stacks()
            # Those in use stay, however many they are: time to forget again is when they doubled.
            self._most_addresses = max(_ADDRESSES_MAX, 2 * self.stacks.address_count)

    def _fetch(self) -> None:
        for record in self._ring.drain():
            name = stack_name(record)
            if name not in self.stacks:
                self.stacks.add(name, record)
            _, _, time_ns, tid, *_ = STACK_HEAD.unpack_from(record)
            if not time_ns:
                self._of_lookups.add(name)
            elif name in self.stacks:
                self.samples.add(time_ns, name, tid)
            else:
                self._nameless += 1

    def _forget_stacks(self) -> None:
        """Forget stacks of samples that are no longer kept, the programs first."""
        self._sent[:] = bytes(len(self._sent))
        self._fetch()  # what came before that, without its addresses
        sampled = {stack for _, stack, _ in self.samples.kept}
        self.stacks.keep_only(sampled | self._of_lookups)

    def detach(self) -> None:
        """Stop sampling; what has come can still be fetched."""
        events, self._events = self._events, {}
        bpf.close_all(events.values())

    def accounting(self) -> Accounting:
        """Return where every sample of the target went; those of other processes are none."""
        counts = {name: self._count(name) for name in CPU_COUNTERS}
        left_out = self.samples.seen - len(self.samples.kept)
        if left_out:  # whole and truncated ones alike
            stacks = (stack for _, stack, _ in self.samples.kept)
            truncated = sum(self.stacks.cause(stack) != WHOLE for stack in stacks)
            counts["kept"] += counts["truncated"] - truncated
            counts["truncated"] = truncated
        counts["kept"] -= left_out + self._nameless
        counts["lost"] += self._nameless
        return Accounting(**counts, filtered=left_out)

    def _count(self, name: str) -> int:
        index = struct.pack("<I", CPU_COUNTERS.index(name))
        values = self._module.map("cpu_counters").values_of_cpus(index)
        return sum(int.from_bytes(value, "little") for value in values)

    def cost_ns(self, interrupt_ns: int) -> int:
        """Return what samples took from the target: the program, and the interrupts before it."""
        times = self._module.map("cpu_times").values_of_cpus(_ZERO)
        programs: int = sum(CPU_TIME.unpack(time)[1] for time in times)
        return programs + self._count("fired") * interrupt_ns
