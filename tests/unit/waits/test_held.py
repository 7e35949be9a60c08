"""Where locks seem to have been taken, by stacks and code that are made here."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from profiler.asterisk.container_calls import NamedCall
from profiler.model.waits import Lock, LockedObject, LockKind
from profiler.unwind.walk import WalkedStack
from profiler.waits.held import taking_frame
from tests.unit.asterisk.test_containers import Memory

STACK = 0x7F00_0000_0000
LOCK, OBJECT = 0x5600_0000, 0x5600_0050


BIAS = 0x1000_0000  # of the file that all frames are in


class Calls:
    """Stands in for the calls of a file; those to "f=N" have N as every argument."""

    def __init__(self, callees: dict[int, list[str]]) -> None:
        self._callees = callees

    def calls_before(self, offset: int) -> list[NamedCall]:
        names = self._callees.get(offset + BIAS, [])
        return [
            NamedCall(int(given or "0"), name)
            for name, _, given in (callee.partition("=") for callee in names)
        ]

    def argument(self, call: NamedCall, _position: int) -> int | None:
        return call.address or None


WALKED = WalkedStack(
    tuple(BIAS + at for at in (1, 2, 3, 4)), tuple(range(STACK, STACK + 64, 16)), None
)
GLOBAL = f"={LOCK - BIAS}"


class Session:
    def __init__(self, callees: dict[int, list[str]]) -> None:
        self._calls = Calls(callees)

    def calls_at(self, address: int) -> tuple[Calls, int] | None:
        return (self._calls, address - BIAS) if address != BIAS + 4 else None


def taking(words: dict[int, int], callees: dict[int, list[str]], is_object: bool = True) -> Any:
    data = [words.get(at, 0) for at in range(6)]
    """Guess; `words` are those of the stack, two for each frame, `callees` by frame, from 1."""
    memory = Memory({STACK: struct.pack("<6Q", *data)})
    session: Any = Session({BIAS + at: names for at, names in callees.items()})
    owned = LockedObject(OBJECT, None, 1) if is_object else None
    return taking_frame(memory, session, WALKED, Lock(LOCK, LockKind.MUTEX, 1, object=owned))


@pytest.mark.parametrize(
    ("words", "callees", "frame"),
    [
        ({1: LOCK}, {3: ["__ao2_lock"]}, 2),
        ({1: OBJECT}, {3: ["ast_log", "__ast_pthread_mutex_lock"]}, 2),
        ({1: LOCK}, {2: ["__ao2_lock"], 3: ["__ao2_lock"]}, 1),
        ({5: LOCK}, {2: ["__ao2_lock"], 3: ["__ao2_lock"]}, 2),  # further in nobody knows it
        ({5: LOCK}, {2: ["__ao2_lock"]}, None),
        ({1: LOCK}, {3: ["__ao2_unlock", "__ao2_ref"]}, None),
        ({1: LOCK}, {}, None),
        ({}, {3: ["__ao2_lock"]}, None),
        # The code itself says which lock it takes.
        ({}, {3: [f"__ast_pthread_mutex_lock{GLOBAL}"]}, 2),
        ({1: LOCK}, {2: ["__ao2_lock"], 3: [f"pthread_mutex_lock{GLOBAL}"]}, 2),
        ({1: LOCK}, {2: ["pthread_mutex_lock=77"]}, None),
    ],
)
def test_who_took_it(
    words: dict[int, int], callees: dict[int, list[str]], frame: int | None
) -> None:
    assert taking(words, callees) == frame


def test_only_the_lock_is_known_where_it_belongs_to_no_object() -> None:
    assert taking({1: OBJECT}, {3: ["__ao2_lock"]}, is_object=False) is None


def test_without_a_stack_nobody_took_it() -> None:
    session: Any = Session({})
    lock = Lock(LOCK, LockKind.MUTEX, 1)
    for stack in (WalkedStack((), (), "it runs"), WalkedStack((1,), (STACK,), "no rule")):
        assert taking_frame(Memory({}), session, stack, lock) is None
    assert taking_frame(Memory({}), session, WALKED, lock) is None
