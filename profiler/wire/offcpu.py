"""Mirror of bpf/offcpu_wire.h: what its programs and user space share.

tests/unit/wire/test_offcpu.py compiles the header and compares sizes, offsets and constants.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass
from typing import NamedTuple

# enum offcpu_waker
NOBODY, KERNEL, THREAD, PROCESS = range(4)
# enum offcpu_counter
COUNTERS = (
    "seen",
    "left_out",
    "full",
    "lost",
    "reported",
    "unwound",
    "found",
    "locks",
)
PREEMPTED, OLD = 1, 2
NO_SYSCALL = -1

WAIT = struct.Struct("<Q2Q2QQIIiIIIII")  # struct offcpu_wait
EVENT = struct.Struct(f"<QII{WAIT.size // 8}Q")
CONTROL = struct.Struct("<QIIII")
STATE = struct.Struct("<QQII")


class Wait(NamedTuple):
    """A wait, from its beginning on. Stacks are named as in struct unwind_stack."""

    began_ns: int
    stack_key: int
    stack_check: int
    waker_stack_key: int
    waker_stack_check: int
    address: int
    operation: int
    value: int
    syscall: int
    share: int
    waker: int
    waker_tid: int
    window: int
    flags: int

    @property
    def stack_name(self) -> int | None:
        """Return what names the stack; None: it was not unwound."""
        return self.stack_key | self.stack_check << 64 or None

    @property
    def waker_stack_name(self) -> int | None:
        """Return what names the waker's stack; None: it was not unwound."""
        return self.waker_stack_key | self.waker_stack_check << 64 or None


def decode_wait(data: bytes) -> Wait:
    """Return a value of the map offcpu_waits."""
    return Wait(*WAIT.unpack(data))


def decode_event(data: bytes) -> tuple[int, int, Wait]:
    """Return when a wait ended, the thread, and the wait."""
    ended_ns, tid, *_ = EVENT.unpack(data)
    return ended_ns, tid, decode_wait(data[-WAIT.size :])


@dataclass(frozen=True, slots=True)
class Control:
    """What user space wants: struct offcpu_control."""

    allowance_ns: int = 0
    window: int = 0
    lock_share: int = 1
    other_share: int = 1

    def encode(self) -> bytes:
        """Return it as the kernel's side has it."""
        return CONTROL.pack(*astuple(self), 0)


@dataclass(frozen=True, slots=True)
class State:
    """What the programs report: struct offcpu_state."""

    spent_ns: int
    stopped_ns: int
    stopped: int

    @classmethod
    def decode(cls, data: bytes) -> State:
        """Return what the kernel's side has."""
        spent_ns, stopped_ns, stopped, _ = STATE.unpack(data)
        return cls(spent_ns, stopped_ns, stopped)
