from __future__ import annotations

import struct

from profiler.wire.offcpu import CONTROL, EVENT, STATE, WAIT, Control, State, decode_event

NUMBERS = (5_000, 1, 2, 3, 4, 0x7F00, 128, 2, 202, 16, 2, 77, 9, 0)


def event(ended_ns: int, tid: int, *wait: int) -> bytes:
    words = struct.unpack("<10Q", WAIT.pack(*wait))
    return EVENT.pack(ended_ns, tid, 0, *words)


def test_an_event_is_the_wait_that_ended() -> None:
    ended_ns, tid, wait = decode_event(event(9_000, 42, *NUMBERS))
    assert (ended_ns, tid, wait.began_ns, wait.syscall, wait.share) == (9_000, 42, 5_000, 202, 16)
    assert wait.stack_name == 1 | 2 << 64
    assert wait.waker_stack_name == 3 | 4 << 64


def test_a_stack_that_was_not_unwound_has_no_name() -> None:
    _, _, wait = decode_event(event(0, 0, 5, 0, 0, 0, 0, *NUMBERS[5:]))
    assert wait.stack_name is None
    assert wait.waker_stack_name is None


def test_control_and_state() -> None:
    assert CONTROL.unpack(Control(1, 2, 3, 4).encode()) == (1, 2, 3, 4, 0)
    assert State.decode(STATE.pack(7, 8, 9, 0)) == State(7, 8, 9)
