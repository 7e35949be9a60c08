from __future__ import annotations

import pytest

from profiler.model.waits import WaitKind
from profiler.waits.system_calls import detail, has_timeout, system_call

NO_TIME = 0xFFFFFFFF  # -1 as an int
FILES = {12: "socket", 3: "/var/log/asterisk/full"}


def wait(number: int, *arguments: int | None) -> tuple[WaitKind, bool]:
    padded = (*arguments, *[0] * (6 - len(arguments)))
    call = system_call(number, padded)
    return call.kind, has_timeout(call, padded)


@pytest.mark.parametrize(
    ("number", "arguments", "kind", "is_limited"),
    [
        (7, (1, 1, NO_TIME), WaitKind.POLL, False),
        (7, (1, 1, 500), WaitKind.POLL, True),
        (7, (1, 1, (1 << 64) - 1), WaitKind.POLL, False),
        (271, (1, 1, 0x7000), WaitKind.POLL, True),
        (271, (1, 1, 0), WaitKind.POLL, False),
        (23, (4, 1, 1, 1, 0x7000), WaitKind.POLL, True),
        (232, (4, 1, 1, 1000), WaitKind.POLL, True),
        (232, (4, 1, 1, NO_TIME), WaitKind.POLL, False),
        (35, (0x7000,), WaitKind.SLEEP, True),
        (230, (0, 0, 0x7000), WaitKind.SLEEP, True),
        (0, (3,), WaitKind.READ, False),
        (1, (3,), WaitKind.WRITE, False),
        (61, (0,), WaitKind.CHILD, False),
        (73, (3,), WaitKind.FILE_LOCK, False),
        (72, (3, 7), WaitKind.FILE_LOCK, False),
        (72, (3, 3), WaitKind.OTHER, False),
        (16, (3,), WaitKind.OTHER, False),
        (999_999, (), WaitKind.OTHER, False),
        (7, (1, 1, None), WaitKind.POLL, False),
    ],
)
def test_what_a_system_call_waits_for(
    number: int, arguments: tuple[int | None, ...], kind: WaitKind, is_limited: bool
) -> None:
    assert wait(number, *arguments) == (kind, is_limited)


@pytest.mark.parametrize(
    ("number", "first", "text"),
    [
        (47, 12, "recvmsg: descriptor 12 (socket)"),
        (1, 3, "write: descriptor 3 (/var/log/asterisk/full)"),
        (0, 4, "read: descriptor 4 (unknown)"),
        (0, None, "read"),
        (7, 12, "poll"),
        (999_999, 12, "system call 999999"),
    ],
)
def test_it_says_what_it_is_about(number: int, first: int | None, text: str) -> None:
    arguments = (first, *[0] * 5)
    assert detail(system_call(number, arguments), arguments, FILES.get) == text
