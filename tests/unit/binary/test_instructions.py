from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from profiler.binary.instructions import (
    R8,
    R12,
    R13,
    R14,
    R15,
    RAX,
    RBP,
    RBX,
    RCX,
    RDI,
    RDX,
    RSP,
    DecodeError,
    Flow,
    Instruction,
    Memory,
    decode,
    decode_all,
)

ADDRESS = 0x401000


def one(code: str) -> Instruction:
    data = bytes.fromhex(code)
    instruction = decode(data, 0, ADDRESS)
    assert instruction.code == data
    return instruction


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("55", "push %rbp"),
        ("4157", "push %r15"),
        ("ff742440", "pushq 0x40(%rsp)"),
        ("6a01", "push $0x1"),
        ("5b", "pop %rbx"),
        ("f30f1efa", "endbr64"),
        ("90", "nop"),
        ("0f1f440000", "nopl (%rax,%rax)"),
        ("e8fbffffff", "call 0x401000"),
        ("e900010000", "jmp 0x401105"),
        ("eb10", "jmp 0x401012"),
        ("742b", "je 0x40102d"),
        ("0f84feffffff", "je 0x401004"),
        ("c3", "ret"),
        ("4885ff", "test %rdi,%rdi"),
        ("4889e5", "mov %rsp,%rbp"),
        ("89d6", "mov %edx,%esi"),
        ("4088f0", "mov %sil,%al"),
        ("48c7c0ffffffff", "mov $0xffffffffffffffff,%rax"),
        ("beffffffff", "mov $0xffffffff,%esi"),
        ("83ceff", "or $0xffffffff,%esi"),
        ("4883ec08", "sub $0x8,%rsp"),
        ("ff5020", "callq *0x20(%rax)"),
        ("ffd0", "call *%rax"),
        ("41ff24c7", "jmpq *(%r15,%rax,8)"),
        ("488d05f9ffffff", "lea 0x401000,%rax"),
        ("64488b042528000000", "mov %fs:0x28,%rax"),
        ("c5f877", "vzeroupper"),
    ],
)
def test_text_is_in_the_syntax_of_att(code: str, shown: str) -> None:
    assert one(code).text == shown


@pytest.mark.parametrize(
    ("code", "flow", "target"),
    [
        ("e800000000", Flow.CALL, ADDRESS + 5),
        ("e9fbffffff", Flow.JUMP, ADDRESS),
        ("ebfe", Flow.JUMP, ADDRESS),
        ("666648e800000000", Flow.CALL, ADDRESS + 8),  # of __tls_get_addr: REX.W wins
        ("7f80", Flow.BRANCH, ADDRESS - 126),
        ("0f8f00000080", Flow.BRANCH, (ADDRESS + 6 - (1 << 31)) % (1 << 64)),
        ("e3fe", Flow.BRANCH, ADDRESS),
        ("c7f800000000", Flow.BRANCH, ADDRESS + 6),
        ("ff1500000000", Flow.INDIRECT_CALL, None),
        ("ffe0", Flow.INDIRECT_JUMP, None),
        ("c3", Flow.RETURN, None),
        ("f3c3", Flow.RETURN, None),
        ("0f0b", Flow.TRAP, None),
        ("f4", Flow.TRAP, None),
        ("e460", Flow.TRAP, None),  # in, a privileged instruction
        ("0f05", Flow.SYSTEM, None),
        ("cd80", Flow.SYSTEM, None),
        ("cc", Flow.TRAP, None),
        ("50", Flow.STRAIGHT, None),
    ],
)
def test_control_flow(code: str, flow: Flow, target: int | None) -> None:
    instruction = one(code)
    assert (instruction.flow, instruction.target) == (flow, target)


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("50", {RSP}),
        ("5f", {RSP, RDI}),
        ("4889f8", {RAX}),
        ("48890424", set()),
        ("b401", {RAX}),  # ah
        ("40b401", {RSP}),  # spl
        ("4885c0", set()),
        ("39c8", set()),
        ("4d0f44ec", {R13}),
        ("4887d9", {RCX, RBX}),
        ("87d9", {RCX, RBX}),
        ("f0480fb10f", {RAX}),
        ("f7f1", {RAX, RDX}),
        ("f6f1", {RAX}),
        ("f348ab", {RDI, RCX}),
        ("48ab", {RDI}),
        ("0fa2", {RAX, RBX, RCX, RDX}),
        ("c9", {RSP, RBP}),
        ("6690", set()),
        ("4190", {RAX, R8}),
        ("0f28c1", set()),
        ("660f7ec0", {RAX}),
        ("f30f7ec0", set()),
        ("c4e2f3f6c7", {RAX, RCX}),  # mulx
        ("c5f96ec0", set()),
        ("c5f97ec0", {RAX}),
        ("0fc7f0", {RAX}),
    ],
)
def test_registers_written(code: str, written: set[int]) -> None:
    assert one(code).writes == sum(1 << register for register in written)


@pytest.mark.parametrize("code", ["0f05", "0f34", "cd80", "cc", "f4", "0f0b"])
def test_unknown_effects_may_write_anything(code: str) -> None:
    instruction = one(code)
    assert instruction.writes is None
    assert instruction.stack_delta is None
    assert instruction.changes == 0xFFFF


def test_calls_change_what_callers_save() -> None:
    for code in ("e800000000", "ffd0"):
        left = {register for register in range(16) if not one(code).changes >> register & 1}
        assert left == {RBX, RBP, R12, R13, R14, R15}


@pytest.mark.parametrize(
    ("code", "delta"),
    [
        ("50", -8),
        ("6650", -2),
        ("68ffff0000", -8),
        ("9c", -8),
        ("58", 8),
        ("5c", None),  # pop %rsp
        ("665c", None),
        ("8f00", 8),
        ("4883ec18", -24),
        ("4881ec00010000", -256),
        ("4883c418", 24),
        ("488d642408", 8),
        ("488da42400ffffff", -256),
        ("67488d642408", None),
        ("488d65d8", None),
        ("4889ec", None),
        ("83ec08", None),
        ("e800000000", 0),
        ("c9", None),
        ("f30fb8e0", None),  # popcnt %eax,%esp
        ("c3", None),
        ("4883e4f0", None),
        ("89c8", 0),
    ],
)
def test_stack_delta(code: str, delta: int | None) -> None:
    assert one(code).stack_delta == delta


def test_memory_operands() -> None:
    assert one("488b44cb10").memory == Memory(RBX, RCX, 8, 0x10, False)
    assert one("4b8b44fc80").memory == Memory(R12, R15, 8, -128, False)
    assert one("64488b4308").memory == Memory(RBX, None, 1, 8, True)
    assert one("67488b43f8").memory == Memory(RBX, None, 1, -8, False)
    assert one("c4e2e990048b").memory is None  # vpgatherdq: a vector of addresses
    assert one("4889d8").memory is None


@pytest.mark.parametrize(
    ("code", "address"),
    [
        ("488b0425efbe0000", 0xBEEF),
        ("a1efcdab8967452301", 0x0123456789ABCDEF),
        ("4c8b25f9ffffff", ADDRESS),
        ("48c705000000002a000000", ADDRESS + 11),  # counts from behind the immediate
        ("64488b042528000000", None),  # of the thread
        ("488b4310", None),
    ],
)
def test_addresses_that_need_no_register(code: str, address: int | None) -> None:
    memory = one(code).memory
    assert memory is not None
    assert memory.address == address


def test_operands_and_constants() -> None:
    move = one("4c89c5")
    assert (move.mnemonic, move.first, move.second) == ("mov", RBP, R8)
    wide = one("48b90000000006000000")
    assert (wide.first, wide.immediate, wide.operand_bytes) == (RCX, 0x600000000, 8)
    assert one("49c7c5ffffffff").immediate == -1
    assert one("beffffffff").immediate == -1
    assert one("48c705000000002a000000").immediate == 42


@pytest.mark.parametrize(
    ("code", "legacy"),
    [
        ("0f28c1", True),
        ("0f0fc00d", True),  # 3DNow
        ("c5f5ebd0", False),
        ("62f1f548efd0", False),
        ("8fe878c0c001", False),  # XOP
        ("8fc0", True),  # pop, whose opcode is that of XOP
    ],
)
def test_prefixes_of_vector_instructions(code: str, legacy: bool) -> None:
    assert one(code).legacy is legacy


@pytest.mark.parametrize(
    "code",
    [
        "",
        "f0",
        "48",
        "06",  # push %es, not in 64-bit mode
        "66e900000000",  # the makers disagree on its length
        "66e80000",
        "48667400",  # the prefix makes the REX before it void
        "ff28",  # far jump
        "ff18",  # far call
        "48cf",  # return from an interrupt
        "f34190",  # an exchange that iced-x86 takes for a pause
        "8d",
        "8dc0",  # lea of a register
        "0f04",
        "c8",
        "c4e2",
        "62f17c48",
        "66" * 15 + "90",
        "e8000000",
        "48b8000000000000",
    ],
)
def test_what_is_no_instruction(code: str) -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(code))


def test_a_rex_that_a_prefix_follows_does_not_count() -> None:
    assert one("486689c8").text == "mov %cx,%ax"


def test_the_longest_instruction_has_fifteen_bytes() -> None:
    assert one("66" * 14 + "90").length == 15


def test_decode_all_gives_addresses() -> None:
    code = bytes.fromhex("554889e5c3")
    assert [i.address for i in decode_all(code, 0x10)] == [0x10, 0x11, 0x14]


@settings(max_examples=2000)
@given(st.binary(max_size=24), st.integers(0, 1 << 47))
@example(bytes.fromhex("8f"), 0)
@example(bytes.fromhex("62"), 0)
@example(bytes.fromhex("0f0f"), 0)
def test_any_bytes_decode_or_are_refused(code: bytes, address: int) -> None:
    try:
        instruction = decode(code, 0, address)
    except DecodeError:
        return
    assert 1 <= instruction.length <= 15
    assert instruction.code == code[: instruction.length]
    assert instruction.text
    # What follows does not matter, and no shorter buffer holds the same instruction.
    assert decode(instruction.code + b"\xff" * 15, 0, address) == instruction
    for size in range(instruction.length):
        with pytest.raises(DecodeError):
            decode(instruction.code[:size], 0, address)
