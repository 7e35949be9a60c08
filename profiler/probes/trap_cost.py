"""What one probe hit costs on this machine, measured on ourselves before the target has probes.

The trap dominates: on an instruction that the kernel emulates it is paid once, on others a second
time for the single step. Both are measured on a few bytes of machine code in a file that exists in
memory only, mapped into our own process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import statistics
import time
from collections.abc import Callable

from profiler.errors import scarcity
from profiler.libc import LIBC
from profiler.model.observed import Calibration

# Where it cannot be measured: as on a virtual machine (docs/overhead.md), which is much.
ASSUMED_COST = Calibration(trap_ns=800, stepped_trap_ns=10_000, return_trap_ns=2_000)

Attach = Callable[[str, int, bool], list[int]]

# loop: push rbx; mov rbx, rdi; again: call function; dec rbx; jnz again; pop rbx; ret
_LOOP_BYTES = 32
_LOOP = bytes.fromhex("53 4889fb e814000000 48ffcb 75f6 5b c3").ljust(_LOOP_BYTES - 3, b"\x90")
_PUSH = bytes.fromhex("55 5d c3")  # push rbp; pop rbp; ret: emulated
_MOVE = bytes.fromhex("89c0 c3")  # mov eax, eax; ret: single-stepped
_MAP_FAILED = ctypes.c_void_p(-1).value
_BATCHES = 11
_HITS = 500


def call_target(offset: int, at: int, function: int) -> bytes:
    """Return the relative call at `offset` + `at` of the loop so that it reaches `function`."""
    displacement = function - (offset + at + 5)
    return b"\xe8" + displacement.to_bytes(4, "little", signed=True)


def _code() -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Return machine code and, by name, the offsets of (loop, function that it calls)."""
    text = b""
    places = {}
    for name, function in (("push", _PUSH), ("move", _MOVE)):
        loop = len(text)
        body = _LOOP.ljust(_LOOP_BYTES, b"\x90")
        body = body[:4] + call_target(loop, 4, loop + _LOOP_BYTES) + body[9:]
        text += body + function.ljust(_LOOP_BYTES, b"\x90")
        places[name] = (loop, loop + _LOOP_BYTES)
    return text, places


class ProbedCode:
    """The machine code, mapped and callable."""

    def __init__(self) -> None:
        text, self.places = _code()
        self._descriptor = os.memfd_create("ebpf-prof-calibration", os.MFD_CLOEXEC)
        os.write(self._descriptor, text.ljust(mmap.PAGESIZE, b"\x90"))
        # Probes are placed only into private mappings that cannot be written (valid_vma() in
        # kernel/events/uprobes.c), and Python's mmap gives no address of such a one.
        protection = mmap.PROT_READ | mmap.PROT_EXEC
        start = LIBC.mmap(None, mmap.PAGESIZE, protection, mmap.MAP_PRIVATE, self._descriptor, 0)
        if start is None or start == _MAP_FAILED:
            os.close(self._descriptor)
            raise OSError(ctypes.get_errno(), "cannot map code for the calibration")
        self._start = int(start)
        self.path = f"/proc/self/fd/{self._descriptor}"

    def call(self, name: str, count: int) -> None:
        """Call a function so often."""
        ctypes.CFUNCTYPE(None, ctypes.c_uint64)(self._start + self.places[name][0])(count)

    def per_call_ns(self, name: str) -> float:
        """Return the CPU time of one call, in nanoseconds, when few others disturb it."""
        loop = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(self._start + self.places[name][0])
        loop(_HITS // 10)
        times = []
        for _ in range(_BATCHES):
            start = time.thread_time_ns()
            loop(_HITS)
            times.append((time.thread_time_ns() - start) / _HITS)
        return statistics.quantiles(times, n=4)[0]

    def cost_ns(self, name: str, attach: Attach, with_return: bool) -> float:
        """Return what a probe adds to one call, in nanoseconds."""
        plain = self.per_call_ns(name)
        descriptors = attach(self.path, self.places[name][1], with_return)
        try:
            return self.per_call_ns(name) - plain
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def close(self) -> None:
        """Unmap it."""
        LIBC.munmap(ctypes.c_void_p(self._start), mmap.PAGESIZE)
        os.close(self._descriptor)


def calibrate(attach: Attach, returns: bool = True) -> Calibration | None:
    """Measure with programs that do nothing; takes about 0.2 s.

    None when the cost cannot be known: a call of ours failed, or the clock hardly moves. Without
    `returns` no return is trapped, because it would end this process.

    `attach(path, offset, with_return)` places a probe in our own process and returns descriptors
    that remove it when they are closed; it raises OSError when that fails. Raises OSError where
    this process may not have what it needs.
    """
    try:
        code = ProbedCode()
        try:
            push = code.cost_ns("push", attach, with_return=False)
            move = code.cost_ns("move", attach, with_return=False)
            both = code.cost_ns("push", attach, with_return=True) if returns else push
        finally:
            code.close()
    except OSError as error:
        if scarcity(error):
            raise
        return None
    if round(push) <= 0:
        return None
    return Calibration(round(push), round(max(move, push)), round(max(both - push, 0)))
