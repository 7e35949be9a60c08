from __future__ import annotations

import struct

import pytest

from profiler.binary.call_frames import PCREL_SDATA4, Cie
from profiler.unwind.machine import OTHER, RBP, RBX, RIP, RSP, UNDEFINED, InRegister, Machine, State
from tests.call_frames import sleb, uleb

CIE = Cie(1, -8, RIP, PCREL_SDATA4, True, b"")
INITIAL: State = (RSP, 8, None, -8, None)
INSIDE: State = (RSP, 32, -16, -8, -24)


def after(program: bytes, cie: Cie = CIE, follows_rbx: bool = True) -> tuple[State, int]:
    """The state that instructions lead to from INSIDE, and what they advanced by."""
    machine = Machine(cie, INITIAL, INSIDE, follows_rbx)
    at = 0
    while at < len(program):
        at = machine.step(program, at)
    assert at == len(program)
    return machine.state, machine.advance


def block(*code: int) -> bytes:
    return uleb(len(code)) + bytes(code)


@pytest.mark.parametrize(
    ("program", "advance"),
    [
        (b"\x45", 5),
        (b"\x02\xff", 255),
        (b"\x03\x00\x10", 4096),
        (b"\x04\x00\x00\x01\x00", 65536),
        (b"\x1d" + struct.pack("<Q", 1 << 33), 1 << 33),
    ],
)
def test_advances(program: bytes, advance: int) -> None:
    assert after(program) == (INSIDE, advance)
    assert after(program, Cie(4, -8, RIP, PCREL_SDATA4, True, b"")) == (INSIDE, 4 * advance)


@pytest.mark.parametrize(
    ("program", "cfa", "offset"),
    [
        (b"\x0c\x06" + uleb(160), 6, 160),
        (b"\x0d\x0a", 10, 32),
        (b"\x0e" + uleb(1000), RSP, 1000),
        (b"\x12\x0a" + sleb(-3), 10, 24),
        (b"\x13" + sleb(2), RSP, -16),
        (b"\x0f" + block(0x76, *sleb(-8), 0x06), ("deref", RBP, -8, 0), 32),
        (b"\x0f" + block(0x77, *sleb(200), 0x06, 0x23, 8), ("deref", RSP, 200, 8), 32),
        (b"\x0f" + block(0x77, 8, 0x80, 0, 0x3F, 0x1A, 0x3B, 0x2A, 0x33, 0x24, 0x22),
         ("plt", RSP, 8, 11), 32),
        (b"\x0f" + block(0x77, 8), OTHER, 32),
        (b"\x0f" + block(0x33), OTHER, 32),
        (b"\x0f" + block(), OTHER, 32),
        (b"\x0f" + block(0x77, 8, 0x06, 0x23, 8, 0x06), OTHER, 32),
    ],
)  # fmt: skip
def test_where_the_cfa_is(program: bytes, cfa: object, offset: int) -> None:
    assert after(program) == ((cfa, offset, -16, -8, -24), 0)


@pytest.mark.parametrize(
    ("program", "place"),
    [
        (b"\x80\x03", -24),
        (b"\x05\x00" + uleb(200), -1600),
        (b"\x11\x00" + sleb(-2), 16),
        (b"\x2f\x00\x05", 40),
        (b"\x07\x00", UNDEFINED),
        (b"\x08\x00", None),
        (b"\x14\x00\x03", OTHER),
        (b"\x15\x00\x7f", OTHER),
        (b"\x10\x00" + block(0x76, 0), (RBP, 0)),
        (b"\x10\x00" + block(0x77, *sleb(120)), (RSP, 120)),
        (b"\x10\x00" + block(0x76, 0, 0x06), OTHER),
        (b"\x16\x00" + block(0x76, 0), OTHER),
    ],
)
def test_where_registers_are(program: bytes, place: object) -> None:
    def of(register: int) -> bytes:
        if program[0] == 0x80:
            return bytes((0x80 | register, program[1]))
        return bytes((program[0], register)) + program[2:]

    assert after(of(RBP)) == ((RSP, 32, place, -8, -24), 0)
    assert after(of(RIP)) == ((RSP, 32, -16, place, -24), 0)
    assert after(of(RBX)) == ((RSP, 32, -16, -8, place), 0)
    assert after(of(RBX), follows_rbx=False) == after(of(12)) == (INSIDE, 0)


def test_restoring_gives_back_what_the_cie_said() -> None:
    moved = bytes((0x80 | RIP, 5))
    assert after(bytes((0xC0 | RBP,)))[0] == (RSP, 32, None, -8, -24)
    assert after(bytes((0xC0 | RBX,)))[0] == (RSP, 32, -16, -8, None)
    assert after(moved + bytes((0xC0 | RIP,)))[0] == INSIDE
    assert after(moved + bytes((0x06, RIP)))[0] == INSIDE


def test_argument_sizes_mean_nothing() -> None:
    assert after(b"\x2e" + uleb(300) + b"\0") == (INSIDE, 0)


@pytest.mark.parametrize(
    "program",
    [b"\x01", b"\x2d\x00", b"\x3f\x00", b"\x0e", b"\x0c\x07", b"\x0f\x05\x77", b"\x10\x06\x05\x77"],
)
def test_what_cannot_be_followed_is_refused(program: bytes) -> None:
    with pytest.raises(IndexError):
        after(program)


def test_only_the_return_address_is_followed_into_a_register() -> None:
    assert after(bytes((0x09, RIP, 5))) == ((RSP, 32, -16, InRegister(5), -24), 0)
    assert after(bytes((0x09, RBP, 5))) == ((RSP, 32, OTHER, -8, -24), 0)
