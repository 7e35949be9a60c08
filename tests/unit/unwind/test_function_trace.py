from __future__ import annotations

import struct

import pytest

from profiler.unwind import function_trace
from profiler.unwind.frame_values import ENTRY
from profiler.unwind.function_trace import FunctionTrace, Tracer, UndescribedCode
from tests.compiled import machine_code

START = 0x1000
RETURNS = "xor %eax, %eax; ret"


def code_of(text: str, data: bytes = b"") -> UndescribedCode:
    return UndescribedCode([(START, machine_code(text))], lambda _, size: data[:size])


def trace(text: str, starts: set[int] | None = None, data: bytes = b"") -> FunctionTrace | None:
    tracer = Tracer(code_of(text, data), starts or set())
    tracer.trusted = set(starts or ())
    return tracer.trace(START, ENTRY)


def heights(found: FunctionTrace | None) -> dict[int, int | None]:
    assert found
    return {at - START: frame.stack for at, frame in sorted(found.frames.items())}


def test_all_ways_are_followed() -> None:
    found = trace("push %rbx; test %edi, %edi; je 1f; call 2f; 1: pop %rbx; ret; 2: nop")
    assert heights(found) == {0: -8, 1: -16, 3: -16, 5: -16, 10: -16, 11: -8}
    assert found
    assert (found.is_proven, found.calls) == (True, {START + 12})


@pytest.mark.parametrize(
    "text",
    [
        "push %rbx; ret",  # returns to what it pushed
        "test %edi, %edi; je 1f; push %rbx; 1: nop; ret",  # two heights
        "pop %rax; pop %rcx; ret",
        "pop %rsi; push %rdi; pop %rsi; nop; push %rsi; ret",  # to where rdi points
    ],
)
def test_what_functions_do_not_do_is_believed_in_nothing(text: str) -> None:
    assert trace(text) is None


@pytest.mark.parametrize(
    ("text", "is_likely"),
    [
        (RETURNS, True),
        ("1: jmp 1b", False),
        ("push %rax; call 1f; 1: jmp 1b", True),  # aligned as calls are
        ("call 1f; 1: jmp 1b", False),
        ("push %rax; call 1f; push %rax; call 1f; 1: hlt", False),
        ("mov %rdi, %rsp; ret", False),  # which stack it is, is not known
    ],
)
def test_a_start_that_was_guessed_needs_evidence(text: str, is_likely: bool) -> None:
    found = trace(text)
    assert found
    assert found.is_likely == is_likely


def test_a_jump_to_another_function_is_a_return() -> None:
    other = START + len(machine_code("jmp 1f; 1:"))
    found = trace(f"jmp 1f; 1: push %rbx; {RETURNS}", {other})
    assert found
    assert found.is_proven
    assert set(found.frames) == {START}


def test_a_jump_with_a_frame_leads_to_no_function() -> None:
    tracer = Tracer(code_of("push %rbx; jmp 1f; 1: pop %rbx; ret"), set())
    tracer.trusted = {START + 3}
    assert tracer.trace(START, ENTRY) is None
    assert tracer.doubted == {START + 3}


def test_a_jump_may_leave_for_a_function_that_does_not_return() -> None:
    text = "test %edi, %edi; jne 1f; ret; 1: jmp 2f; 2: push %rbx; ret"
    assert trace(text) is None
    tracer = Tracer(code_of(text), set())
    tracer.jumps_leave = True
    found = tracer.trace(START, ENTRY)
    assert found
    assert found.is_proven
    assert found.calls == {START + 7}


def test_nothing_is_behind_a_call_of_what_never_returns() -> None:
    text = "call 1f; pop %rax; pop %rcx; 1: jmp 1b"
    tracer = Tracer(code_of(text), set())
    assert tracer.trace(START, ENTRY) is None
    never = tracer.trace(START + 7, ENTRY)
    assert never
    assert not never.may_return
    tracer.never_return.add(START + 7)
    assert heights(tracer.trace(START, ENTRY)) == {0: -8}


def test_a_call_before_another_start_does_not_come_back() -> None:
    text = "push %rbx; call 1f; nop; nop; 1: nop; ret"
    behind = START + len(machine_code("push %rbx; call 1f; 1: nop; nop"))
    assert trace(text) is None  # the code behind the call returns with another stack
    found = Tracer(code_of(text), {behind}).trace(START, ENTRY)
    assert heights(found) == {0: -8, 1: -16}


SWITCH = (
    "push %rbx; cmp $1, %edi; ja 9f; lea 0x2000(%rip), %rdx; mov %edi, %eax;"
    "movslq (%rdx,%rax,4), %rax; add %rdx, %rax; jmp *%rax; 9: pop %rbx; ret;"
    "8: mov $1, %ebx; jmp 9b"
)


def test_cases_of_a_switch_are_followed() -> None:
    code = machine_code(SWITCH)
    case = START + code.index(machine_code("mov $1, %ebx"))
    table = START + code.index(b"\x48\x8d\x15") + 7 + 0x2000
    distances = b"".join((case - table).to_bytes(4, "little", signed=True) for _ in range(2))
    found = trace(SWITCH, data=distances)
    assert found
    assert found.frames[case].stack == -16
    assert case not in (trace(SWITCH) or found).frames


def test_a_switch_may_lead_to_no_address_at_all() -> None:
    found = trace(SWITCH, data=struct.pack("<2i", -(1 << 30), -1 << 30))
    assert found
    assert min(found.frames) < 0
    assert found.may_return


def test_steps_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_trace, "MAX_STEPS", 3)
    assert trace("nop; nop; nop; nop; nop; ret") is None
    monkeypatch.undo()
    monkeypatch.setattr(function_trace, "MAX_INSTRUCTIONS", 0)
    assert heights(trace(RETURNS)) == {0: -8}
