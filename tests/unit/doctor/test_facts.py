from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.doctor import facts
from profiler.doctor.facts import parse_lockdown, read_facts
from profiler.errors import KernelError


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("[none] integrity confidentiality\n", "none"),
        ("none [integrity] confidentiality\n", "integrity"),
        ("none integrity [confidentiality]\n", "confidentiality"),
        ("", None),
    ],
)
def test_lockdown(text: str, mode: str | None) -> None:
    assert parse_lockdown(text) == mode


@pytest.mark.root
def test_root_can_do_everything_here_and_leaves_nothing_open() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    facts = read_facts(lambda: None)

    assert (facts.bpf_errno, facts.uprobe_errno, facts.cpu_clock_errno) == (0, 0, 0)
    assert (facts.thread_ends_are_reported, facts.udp_sockets) == (True, None)
    assert facts.bcc_is_compiler
    assert facts.compile_tried
    assert facts.compile_error is None
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_an_error_of_the_compiler_is_kept() -> None:
    error = KernelError("cannot compile", "do this")

    def fail() -> None:
        raise error

    assert read_facts(fail).compile_error is error


@pytest.fixture
def no_bcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for name in [name for name in sys.modules if name.split(".")[0] == "bcc"]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path


def test_another_project_named_bcc(no_bcc: Path) -> None:
    (no_bcc / "bcc").mkdir()
    (no_bcc / "bcc/__init__.py").write_text("raise RuntimeError('imported')")
    assert facts._find_bcc() == (str(no_bcc / "bcc"), False)


def test_no_bcc_at_all(no_bcc: Path) -> None:
    assert facts._find_bcc() == (None, False)


def test_a_system_python_that_is_missing_has_no_bcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "SYSTEM_PYTHON", "/nonexistent/python3")
    assert not facts._system_python_has_bcc()
