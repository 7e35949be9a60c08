"""Errors that a user can meet: one clear line, one hint, one exit code each.

Raised anywhere, caught once in cli. Bugs are ordinary exceptions and keep their traceback.
"""

import errno
import os
import traceback
from pathlib import Path

# Who refused root something is in the kernel's log: AppArmor, SELinux, lockdown.
REFUSALS = "sudo dmesg | grep -iE 'denied|lockdown|avc'"


class ProfilerError(Exception):
    """A failure: a message (one line), a hint (the exact command that helps), an exit code."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ProfilerError):
    """The command line or an input file makes no sense."""

    exit_code = 2


class TargetError(ProfilerError):
    """No such process, several of them, or not an Asterisk."""

    exit_code = 3


class ProbeError(ProfilerError):
    """A probe or a symbol that the measurement needs is not there."""

    exit_code = 4


class PrivilegeError(ProfilerError):
    """Not root, or seccomp, lockdown or a container stands in the way."""

    exit_code = 5


class KernelError(ProfilerError):
    """The kernel, or its BCC, lacks what is needed."""

    exit_code = 6


def refused(what: str, pid: int) -> PrivilegeError:
    """Return the error for something of a process that may not be read."""
    hint = f"sudo ebpf-prof asterisk --pid {pid}" if os.geteuid() else REFUSALS
    return PrivilegeError(f"{what} of process {pid} may not be read", hint)


def scarcity(error: Exception) -> KernelError | None:
    """Return what to say when this process may not have what it needs, None for other errors."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE):
        return KernelError("ebpf-prof may not open as many files as it needs", "ulimit -n 65536")
    if number == errno.ENOMEM:
        return KernelError(
            "there is not enough memory for ebpf-prof", "free -m; ulimit -v unlimited"
        )
    return None


def failed_call(error: OSError) -> ProfilerError | None:
    """Return what to say of a call of the system that failed where none is expected to.

    None when it was made in a wrong way: that is a bug.
    """
    if error.errno in (errno.EBADF, errno.EFAULT, errno.ENOTSOCK):
        return None
    message = f"the system refused a call: {error} ({_last_own_line(error)})"
    if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        return PrivilegeError(message, REFUSALS)
    return KernelError(message, "sudo dmesg | tail")


def _last_own_line(error: Exception) -> str:
    """Return file and line of ours that an error came through last: for who has to mend it."""
    package = str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(package)]
    return ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in ours[-1:])


class IncompleteError(ProfilerError):
    """The recording is incomplete and --strict asked for a complete one."""

    exit_code = 7
