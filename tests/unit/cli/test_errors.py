from __future__ import annotations

import errno
import io

import click
import pytest

from profiler.cli.errors import run
from profiler.errors import KernelError, ProfilerError, TargetError


def outcome(error: BaseException | None) -> tuple[int, str]:
    """Return exit code and stderr of a command that ends with this error."""

    def command() -> None:
        if error is not None:
            raise error

    errors = io.StringIO()
    return run(command, errors), errors.getvalue()


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (None, 0, ""),
        (TargetError("gone", "look"), 3, "ebpf-prof: gone\n  try: look\n"),
        (KernelError("old"), 6, "ebpf-prof: old\n"),
        (click.UsageError("what?"), 2, "ebpf-prof: what?\n  try: ebpf-prof --help\n"),
        (KeyboardInterrupt(), 130, "ebpf-prof: aborted; no probe is left\n"),
    ],
)
def test_each_end_has_its_code_and_words(error: BaseException | None, code: int, text: str) -> None:
    assert outcome(error) == (code, text)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n 65536"),
        (OSError(errno.ENFILE, "Too many open files in system"), "ulimit -n 65536"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "free -m; ulimit -v unlimited"),
        (MemoryError(), "free -m; ulimit -v unlimited"),
    ],
)
def test_what_a_process_may_not_have_is_no_bug(error: Exception, hint: str) -> None:
    code, text = outcome(error)
    assert code == 6
    first, second = text.splitlines()
    assert first.startswith("ebpf-prof: ")
    assert second == f"  try: {hint}"


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.EPERM, 5, "sudo dmesg | grep -iE 'denied|lockdown|avc'"),
        (errno.ENOSYS, 5, "sudo dmesg | grep -iE 'denied|lockdown|avc'"),
        (errno.EIO, 6, "sudo dmesg | tail"),
    ],
)
def test_a_call_that_fails_unexpectedly_is_named_with_its_place(
    number: int, code: int, hint: str
) -> None:
    found, text = outcome(OSError(number, "no", "/etc/hosts"))
    line = f"ebpf-prof: the system refused a call: [Errno {number}] no: '/etc/hosts' (errors.py:"
    assert found == code
    assert text.startswith(line)
    assert text.endswith(f")\n  try: {hint}\n")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        outcome(ZeroDivisionError())


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in ProfilerError.__subclasses__()]
    assert sorted(codes) == [2, 3, 4, 5, 6, 7]
