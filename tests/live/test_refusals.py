"""What cannot be profiled is refused: one line, a hint, the documented exit code, nothing left."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lab.instance import Instance
from tests.live.outside import changed_code
from tests.live.running import (
    LIMIT_S,
    REPOSITORY,
    Result,
    command,
    environment,
    finished,
    profile,
    run,
    run_as_nobody,
)

pytestmark = [pytest.mark.live, pytest.mark.root]


# Python runs a file of this name at its start.
WITHOUT_BCC = """
import sys
from importlib.machinery import PathFinder

class Blind(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "bcc" else super().find_spec(name, path, target)

sys.meta_path[:] = [Blind if finder is PathFinder else finder for finder in sys.meta_path]
"""


def refusal(result: Result) -> tuple[str, str]:
    """Return the one line and the hint."""
    match = re.fullmatch(r"ebpf-prof: ([^\n]+)\n  try: ([^\n]+)\n", result.errors)
    assert match, result.errors
    assert result.out == ""
    return match[1], match[2]


def test_not_an_asterisk(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "100"]) as other:
        try:
            line, _ = refusal(profile(other.pid, tmp_path / "result", expect=3))
        finally:
            other.kill()
    assert line.startswith(f"process {other.pid} (sleep) is not an Asterisk: ")


def test_not_root(sip: Instance) -> None:
    result = run_as_nobody(["asterisk", "-p", str(sip.pid), "-d", "1s"])
    assert result.code == 5, result.errors
    assert refusal(result)[1].startswith("sudo ")


@pytest.mark.parametrize("call", [321, 298], ids=["bpf", "perf_event_open"])
def test_seccomp_in_the_way(sip: Instance, tmp_path: Path, call: int) -> None:
    script = str(REPOSITORY / "tests" / "unit" / "deny_syscall.py")
    denied = [sys.executable, script, str(call), str(errno.EPERM)]
    words = command("asterisk", "-p", str(sip.pid), "-d", "1s", "-o", str(tmp_path / "result"))
    result = finished([*denied, *words], tmp_path / "result")
    assert result.code in (5, 6), result.errors
    refusal(result)


@pytest.mark.parametrize(
    ("limit", "hint"), [("--nofile=24", "ulimit -n 65536"), ("--as=150000000", "ulimit -v")]
)
def test_a_process_that_may_not_have_what_it_needs(
    sip: Instance, tmp_path: Path, limit: str, hint: str
) -> None:
    words = command("asterisk", "-p", str(sip.pid), "-d", "1s", "-o", str(tmp_path / "result"))
    anew = {"EBPF_PROF_CACHE": ""}  # so that there is something to compile
    result = finished(["prlimit", limit, *words], tmp_path / "result", 0.0, **anew)
    assert result.code == 6
    assert hint in refusal(result)[1]


def test_a_disk_without_room_takes_no_results_from_the_screen(
    sip: Instance, tmp_path: Path
) -> None:
    folder = tmp_path / "result"
    words = " ".join(command("asterisk", "-p", str(sip.pid), "-d", "1s", "-o", str(folder)))
    result = finished(["prlimit", "--fsize=4096", "bash", "-c", words], tmp_path / "result")
    assert result.code == 2
    assert result.out.startswith("asterisk 16.28")
    assert re.fullmatch(r"ebpf-prof: cannot write .*: File too large\n  try: .*\n", result.errors)
    assert not folder.exists()  # not even the recording had room


@pytest.mark.parametrize(
    ("file", "text", "said", "hint"),
    [
        ("sitecustomize.py", WITHOUT_BCC, "not for", "--system-site-packages"),
        ("bcc/__init__.py", "", "is another project", "pip uninstall bcc"),
    ],
)
def test_a_python_without_bcc(
    sip: Instance, tmp_path: Path, file: str, text: str, said: str, hint: str
) -> None:
    path = tmp_path / "hidden" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    hidden = f"{tmp_path / 'hidden'}:{REPOSITORY}"
    result = profile(sip.pid, tmp_path / "result", expect=6, PYTHONPATH=hidden)
    line, offered = refusal(result)
    assert said in line
    assert hint in offered


def test_doctor_finds_nothing_wrong_here(tmp_path: Path) -> None:
    result = run(["doctor"], tmp_path / "result")
    assert result.code == 0, result.out
    assert " 0 failed," in result.out.splitlines()[-1]
    assert max(map(len, result.out.splitlines())) <= 80


def test_doctor_as_nobody() -> None:
    result = run_as_nobody(["doctor"])
    assert result.code == 5, result.out + result.errors
    assert "-> sudo ebpf-prof" in result.out
    assert result.errors == ""


def test_listing_probes_places_none(sip: Instance, tmp_path: Path) -> None:
    before = changed_code(sip.pid)
    result = run(["asterisk", "-p", str(sip.pid), "--list-probes"], tmp_path / "result")
    assert result.code == 0, result.errors
    assert before == changed_code(sip.pid) == []
    first = result.out.splitlines()[0]
    assert re.fullmatch(r"\d+ probes in .*; none is placed now", first)
    for function in ("__ao2_find", "__ao2_callback", "__ao2_callback_data", "__ao2_unlink"):
        assert f"\n{function} (" in result.out
    assert not (tmp_path / "result").exists()


def opened(pid: int) -> list[str]:
    """Return where the open files of a process lie."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(str(entry.readlink()))
    return found


def test_the_target_ends_before_it_is_attached(
    short_lived: Callable[..., Instance], tmp_path: Path
) -> None:
    asterisk = short_lived("16")
    pid = asterisk.pid
    words = command("asterisk", "-p", str(pid), "-d", "5s", "-o", str(tmp_path / "result"))
    anew = environment(EBPF_PROF_CACHE="")
    with subprocess.Popen(words, cwd=tmp_path, env=anew, stderr=subprocess.PIPE, text=True) as tool:
        # It has opened the target's files, and has yet to compile.
        while not any(path.endswith("/asterisk") for path in opened(tool.pid)):
            assert tool.poll() is None
        os.kill(pid, 9)
        _, errors = tool.communicate(timeout=LIMIT_S)
    assert tool.returncode == 3, errors
    assert re.match(r"ebpf-prof: .*\b(ended|exist)", errors), errors
    assert "Traceback" not in errors
