"""Errors that a user can meet: one clear line, one hint, one exit code each.

Raised anywhere, caught once in cli.py. Bugs are ordinary exceptions and keep their traceback.
"""


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


class IncompleteError(ProfilerError):
    """The recording is incomplete and --strict asked for a complete one."""

    exit_code = 7
