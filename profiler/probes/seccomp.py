"""Whether return probes are safe in a target whose system calls are filtered.

Since Linux 6.11 a return probe on x86-64 ends in a system call of its own, uretprobe
(kernel commit ff474a78cef5). A seccomp filter that does not know it ends the process; later kernels
let it pass whatever filters say. Which kernel does is tried out: on a child process of ours, with a
filter that denies that call.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

from profiler.libc import LIBC
from profiler.probes.trap_cost import ProbedCode
from profiler.process.procfs import read_process

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_FILTERED_MODE = 2  # "Seccomp:" in /proc/PID/status
_SYS_URETPROBE = 335
_DENY = 0x00050000 | 1  # SECCOMP_RET_ERRNO, EPERM
_ALLOW = 0x7FFF0000
_LOAD_NUMBER = (0x20, 0, 0, 0)  # BPF_LD | BPF_W | BPF_ABS, offset of seccomp_data.nr
_IS_URETPROBE = (0x15, 0, 1, _SYS_URETPROBE)  # BPF_JMP | BPF_JEQ
_RETURN = 0x06

Attach = Callable[[str, int, bool, int], list[int]]  # path, offset, with return, pid: descriptors


def returns_are_safe(seccomp_mode: int | None, attach: Attach) -> bool:
    """Return whether a return probe harms neither a target with this seccomp mode nor ourselves.

    `attach` places a return probe in one process. Raises OSError when it cannot.
    """
    own = read_process(os.getpid())
    modes = (seccomp_mode, own.seccomp_mode if own else None)
    return _FILTERED_MODE not in modes or _child_survives(attach)


def _child_survives(attach: Attach) -> bool:
    code = ProbedCode()
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        _be_probed(code, ready, go)
    os.close(ready)
    descriptors: list[int] = []
    try:
        descriptors = attach(code.path, code.places["push"][1], True, child)
    finally:
        os.close(go)  # the child goes on when nobody can write any more
        _, status = os.waitpid(child, 0)
        for descriptor in descriptors:
            os.close(descriptor)
        code.close()
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def _be_probed(code: ProbedCode, ready: int, go: int) -> None:
    """Wait for the probe, deny the system call, run into the probe, end. Never returns."""
    try:
        os.close(go)
        os.read(ready, 1)
        _deny_uretprobe()
        code.call("push", 1)
        os._exit(0)
    finally:
        os._exit(1)


def _deny_uretprobe() -> None:
    instructions = (_LOAD_NUMBER, _IS_URETPROBE, (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW))
    program = ctypes.create_string_buffer(
        b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)
    )
    header = ctypes.create_string_buffer(
        struct.pack("<HxxxxxxQ", len(instructions), ctypes.addressof(program))
    )
    if LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no new privileges")
    if LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no filter")
