"""Frames by a session that knows a few of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from profiler.asterisk.container_calls import NamedCall, SourcePlace
from profiler.model.recording import Frame, MappedFile
from profiler.model.waits import WaitFrame
from profiler.waits.frames import Frames, is_musl

FILES = ("/usr/sbin/asterisk", "/lib/libc.so.6", "/usr/lib/chan_sip.so", "/lib/ld-musl-x86_64.so.1")
# Name and file by address.
NAMES = {
    0x10: ("", 1),
    0x11: ("pthread_mutex_lock", 1),
    0x12: ("__ast_pthread_mutex_lock", 0),
    0x13: ("__ao2_lock", 0),
    0x14: ("do_monitor", 2),
    0x15: ("dummy_start", 0),
    0x16: ("start_thread", 1),
    0x17: ("pthread_mutex_timedlock", 3),
}
PLACE = SourcePlace("/build/channels/chan_sip.c", 77, "do_monitor")


class Calls:
    """Stands in for the calls of a file."""

    def __init__(self, callee: str = "__ao2_lock", place: SourcePlace = PLACE) -> None:
        self.callee, self.known, self.asked = callee, place, 0

    def before(self, return_address: int) -> NamedCall | None:
        self.asked += 1
        return NamedCall(return_address - 5, self.callee)

    def place(self, _call: NamedCall) -> SourcePlace:
        return self.known

    def text(self, _call: NamedCall, position: int) -> str | None:
        return {5: "peer", 3: "&iflock"}.get(position)


class Session:
    """Stands in for names."""

    def __init__(self, calls: Calls | None = None) -> None:
        self.calls = calls
        self.named: list[int] = []

    def files(self) -> tuple[MappedFile, ...]:
        return tuple(MappedFile(path, None) for path in FILES)

    def frames(self, addresses: Iterable[int]) -> tuple[Frame, ...]:
        return tuple(map(self._frame, addresses))

    def _frame(self, address: int) -> Frame:
        self.named.append(address)
        if address not in NAMES:
            return Frame(address, None, None, None, None, None)
        name, file = NAMES[address]
        return Frame(address, file, address, 0x8, name or None, name and "symtab")

    def calls_at(self, address: int) -> tuple[Calls, int] | None:
        return None if self.calls is None else (self.calls, address)


def frames(calls: Calls | None = None) -> Frames:
    session: Any = Session(calls)
    made = Frames(session)
    made.name((*NAMES, 0x99))
    return made


def test_a_stack_with_names() -> None:
    assert frames().stack((0x10, 0x14, 0x99)) == (
        WaitFrame("libc.so.6+0x8", "libc.so.6", 0x10, 0x10, 0x8),
        WaitFrame("do_monitor", "chan_sip.so", 0x14, 0x14, 0x8),
        WaitFrame("[unknown 0x99]", None, None, 0x99),
    )


def test_each_address_is_named_once() -> None:
    session: Any = Session()
    made = Frames(session)
    made.name((0x10, 0x11))
    made.name((0x11, 0x12))
    made.name(())
    assert session.named == [0x10, 0x11, 0x12]


def test_what_a_thread_runs() -> None:
    assert frames().role((0x11, 0x13, 0x14, 0x15, 0x16)) == "do_monitor (chan_sip.so)"
    assert frames().role((0x11, 0x13, 0x15, 0x16)) == "__ao2_lock"
    assert frames().role((0x10, 0x15, 0x16)) is None


@pytest.mark.parametrize(
    ("addresses", "names"),
    [
        ((0x10, 0x11, 0x12, 0x13, 0x14), ["", "pthread_mutex_lock", "__ast_pthread_mutex_lock"]),
        ((0x14, 0x15), []),
        ((0x17, 0x12), []),  # of another C library
        ((0x10,) * 20, [""] * 12),
        ((), []),
    ],
)
def test_functions_that_a_wait_is_in(addresses: tuple[int, ...], names: list[str]) -> None:
    assert frames().leading_names(addresses) == names


def test_by_which_name_the_c_library_was_called() -> None:
    calls = Calls("sem_wait")
    made = frames(calls)
    assert [made.called((0x10, 0x11, 0x14, 0x15)) for _ in range(2)] == ["sem_wait"] * 2
    assert calls.asked == 1
    assert made.called((0x14, 0x15)) is None
    assert made.called((0x10, 0x11)) is None
    assert frames().called((0x10, 0x14)) is None


@pytest.mark.parametrize(
    ("addresses", "at"),
    [
        ((0x10, 0x11, 0x12, 0x13, 0x14, 0x15), 4),
        ((0x10, 0x11, 0x12, 0x14), 3),
        ((0x11, 0x14), 1),
        ((0x10, 0x11), None),
        ((0x11, 0x12), None),
    ],
)
def test_who_wants_the_lock(addresses: tuple[int, ...], at: int | None) -> None:
    assert frames().lock_call(addresses) == at


class InsideContainers(Calls):
    """A container's own code wants the lock at 0x14, and was called from 0x19, with one between."""

    def before(self, return_address: int) -> NamedCall | None:
        callees = {0x14: "__ao2_lock", 0x18: "internal_ao2_traverse", 0x19: "__ao2_link"}
        callee = callees.get(return_address - 1)
        return None if callee is None else NamedCall(return_address - 5, callee)

    def place(self, call: NamedCall) -> SourcePlace:
        is_own = call.callee == "__ao2_lock"
        return SourcePlace("astobj2_container.c" if is_own else "main/core_local.c", 7, None)


def test_who_called_a_container_wants_its_lock() -> None:
    made = frames(InsideContainers())
    made.name((0x18, 0x19))
    stack = (0x10, 0x12, 0x14, 0x18, 0x19, 0x15)
    assert made.wanted(stack) == (4, "core_local.c:7", "peer")
    assert made.wanted(stack[:4]) == (2, "astobj2_container.c:7", "peer")
    assert frames(Calls()).wanted((0x10, 0x12, 0x14)) == (2, "chan_sip.c:77", "peer")
    assert frames().wanted(stack[:2]) is None


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        (Calls(), ("chan_sip.c:77", "peer")),
        (Calls("__ast_pthread_mutex_lock"), ("chan_sip.c:77", "&iflock")),
        (Calls(place=SourcePlace("chan_sip.c", None, None)), ("chan_sip.c", "peer")),
        (Calls(place=SourcePlace(None, 77, None)), (None, "peer")),
        (Calls("__ast_cond_wait"), ("chan_sip.c:77", None)),
        (Calls("pthread_mutex_lock"), (None, None)),
        (None, (None, None)),
    ],
)
def test_where_in_the_source(calls: Calls | None, found: tuple[str | None, str | None]) -> None:
    assert frames(calls).call((0x12, 0x14), 1) == found


def test_a_place_is_looked_for_once() -> None:
    calls = Calls()
    made = frames(calls)
    assert made.call((0x12, 0x14), 1) == made.call((0x13, 0x14), 1)
    assert calls.asked == 1


@pytest.mark.parametrize(
    ("path", "is_so"),
    [
        ("/lib/ld-musl-x86_64.so.1", True),
        ("/usr/lib/x86_64-linux-musl/libc.so", True),
        ("/lib/x86_64-linux-gnu/libc.so.6", False),
        ("/lib64/libc-2.31.so", False),
        ("/usr/sbin/asterisk", False),
    ],
)
def test_which_c_library_is_musl(path: str, is_so: bool) -> None:
    assert is_musl(path) is is_so
