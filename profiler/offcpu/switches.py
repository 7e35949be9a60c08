"""The programs that see threads leave their CPUs and come back: loaded, attached, asked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from profiler.linux import bpf
from profiler.linux.btf import function_ids
from profiler.linux.module import BpfModule
from profiler.wire.offcpu import COUNTERS, Control, State, Wait, decode_event, decode_wait

# Functions of offcpu.bpf.c, and the tracepoints that they run at.
_TRACEPOINTS = {"offcpu_waking": "sched_waking", "offcpu_switch": "sched_switch"}
_ITERATOR = "bpf_iter_task"  # the kernel's, Linux 5.8
_ZERO = struct.pack("<I", 0)


class Switches:
    """Waits of one target's threads. Raises OSError where the kernel refuses the programs."""

    def __init__(self, module: BpfModule) -> None:
        self._module = module
        self._programs = [module.load(name, bpf.PROG_RAW_TRACEPOINT) for name in _TRACEPOINTS]
        following = module.load("offcpu_continue", bpf.PROG_RAW_TRACEPOINT)
        module.set_tail_call("offcpu_programs", 0, following)
        iterator = function_ids(frozenset((_ITERATOR,))).get(_ITERATOR, 0)
        self._finder = module.load("offcpu_find", bpf.PROG_TRACING, bpf.ATTACH_ITERATOR, iterator)
        self._ring = module.ring_buffer("offcpu_events")
        self._waits = module.map("offcpu_waits")
        self._links: list[int] = []

    def attach(self) -> None:
        """Begin to see switches; raises OSError."""
        try:
            for program in self._programs:
                tracepoint = _TRACEPOINTS[program.name]
                self._links.append(bpf.open_raw_tracepoint(tracepoint, program.descriptor))
        except OSError:
            self.detach()
            raise

    def detach(self) -> None:
        """See no more of them."""
        links, self._links = self._links, []
        bpf.close_all(links)

    def find(self) -> None:
        """Note the threads that wait already, as far as the kernel has memory for that."""
        with suppress(OSError):
            tuple(bpf.iterate(self._finder.descriptor))  # which writes nothing

    def control(self, control: Control) -> None:
        """Say what is to be seen."""
        self._module.map("offcpu_control").set(_ZERO, control.encode())

    def state(self) -> State:
        """Return what the programs report about the window."""
        return State.decode(self._module.map("offcpu_state").get(_ZERO) or bytes(24))

    def ended(self) -> Iterator[tuple[int, int, Wait]]:
        """Yield the waits that ended since: when, the thread, the wait."""
        return map(decode_event, self._ring.drain())

    def take_open(self) -> Iterator[tuple[int, Wait]]:
        """Yield thread and wait of those that have not ended, and forget them."""
        for key, value in tuple(self._waits.items()):
            self._waits.delete(key)
            yield int.from_bytes(key, "little"), decode_wait(value)

    def counts(self) -> dict[str, int]:
        """Return where waits went, by the names of COUNTERS."""
        counters = self._module.map("offcpu_counters")
        values = (counters.values_of_cpus(struct.pack("<I", at)) for at in range(len(COUNTERS)))
        sums = (sum(int.from_bytes(one, "little") for one in cpus) for cpus in values)
        return dict(zip(COUNTERS, sums, strict=True))

    def cost_ns(self) -> int:
        """Return the time that the programs took, also for other processes.

        The kernel's statistics have that. Reading the clock for them takes longer than the call of
        a program, which they leave out: see docs/overhead.md.
        """
        return sum(program.statistics().run_time_ns for program in self._programs)
