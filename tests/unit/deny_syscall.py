"""Runs a command under a seccomp filter: deny_syscall.py NUMBER ERRNO COMMAND..."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000


def deny(number: int, error: int) -> None:
    """Let system call `number` fail with `error` in this process and its children."""
    instructions = struct.pack(
        "=HBBIHBBIHBBIHBBI",
        *(0x20, 0, 0, 0),  # load seccomp_data.nr
        *(0x15, 0, 1, number),
        *(0x06, 0, 0, SECCOMP_RET_ERRNO | error),
        *(0x06, 0, 0, SECCOMP_RET_ALLOW),
    )
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0


if __name__ == "__main__":
    deny(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
