"""Runs a command under a seccomp filter: deny_syscall.py NUMBER ERRNO COMMAND..."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Collection, Sequence

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
_LOAD_NUMBER = (0x20, 0, 0, 0)  # seccomp_data.nr
_LOAD_ARGUMENT = (0x20, 0, 0, 16)  # the lower half of seccomp_data.args[0]
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06


def deny(numbers: Collection[int], error: int) -> None:
    """Let system calls fail with `error` in this process and its children."""
    _install(numbers, SECCOMP_RET_ERRNO | error, SECCOMP_RET_ALLOW)


def deny_others(numbers: Collection[int], error: int) -> None:
    """Let all system calls but these fail with `error` in this process and its children."""
    _install(numbers, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | error)


def deny_with_argument(call: Collection[int], error: int) -> None:
    """Let a system call fail with `error` where its first argument is this: (number, argument)."""
    number, argument = call
    _install_code(
        (
            _LOAD_NUMBER,
            (_JUMP_IF_EQUAL, 0, 2, number),
            _LOAD_ARGUMENT,
            (_JUMP_IF_EQUAL, 1, 0, argument),
            (_RETURN, 0, 0, SECCOMP_RET_ALLOW),
            (_RETURN, 0, 0, SECCOMP_RET_ERRNO | error),
        )
    )


def _install(numbers: Collection[int], answer: int, other_answer: int) -> None:
    jumps = ((_JUMP_IF_EQUAL, len(numbers) - at, 0, n) for at, n in enumerate(numbers))
    _install_code((_LOAD_NUMBER, *jumps, (_RETURN, 0, 0, other_answer), (_RETURN, 0, 0, answer)))


def _install_code(code: Sequence[tuple[int, int, int, int]]) -> None:
    instructions = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0


if __name__ == "__main__":
    deny((int(sys.argv[1]),), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
