"""Probes are placed in the file that was analysed, and nowhere else."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from profiler.errors import ProbeError
from profiler.probes.planner import PlannedProbe, ProbePlanner
from profiler.process.mappings import VDSO, TargetCode
from tests.mapped_files import loaded_code, with_damaged_call_frames

SOURCE = """
int helper(int *);
int compared(int *a, int *b) { int x = helper(a); return x + helper(b); }
int helper(int *a) { return *a; }
"""


def library(path: Path) -> Path:
    command = ["gcc", "-O1", "-fno-inline", "-shared", "-fPIC", "-x", "c", "-o", str(path), "-"]
    subprocess.run(command, input=SOURCE, check=True, text=True)
    return path


def planned(path: Path) -> tuple[TargetCode, ProbePlanner, int, PlannedProbe]:
    function = ctypes.cast(ctypes.CDLL(str(path)).compared, ctypes.c_void_p).value
    assert function is not None
    code = TargetCode(os.getpid())
    code.refresh()
    planner = ProbePlanner(code)
    probe = planner.comparison(function)
    assert probe is not None
    return code, planner, function, probe


def test_a_probe_stays_with_its_file_when_the_path_leads_to_another(tmp_path: Path) -> None:
    path = library(tmp_path / "one.so")
    before = path.stat().st_ino
    _, planner, function, probe = planned(path)
    library(tmp_path / "two.so").rename(path)
    assert path.stat().st_ino != before
    assert Path(probe.point.path).stat().st_ino == before
    assert planner.is_current(function, probe)


def test_code_of_another_file_at_the_same_address_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, planner, function, probe = planned(library(tmp_path / "one.so"))
    _, _, elsewhere, _ = planned(library(tmp_path / "two.so"))
    code.refresh()
    other = code.at(elsewhere)
    monkeypatch.setattr(code, "at", lambda address: other)
    assert not planner.is_current(function, probe)
    vdso = next(loaded for loaded in code.current if loaded.mapping.path == VDSO)
    assert vdso.file is not None and vdso.file.handle is None
    monkeypatch.setattr(code, "at", lambda address: vdso)
    assert not planner.is_current(function, probe)
    assert planner.comparison(function) is None
    monkeypatch.setattr(code, "at", lambda address: None)
    assert not planner.is_current(function, probe)


def test_code_with_damaged_call_frames_is_no_defect_of_ours(tmp_path: Path) -> None:
    damaged = with_damaged_call_frames(library(tmp_path / "one.so"))
    with pytest.raises(ProbeError, match=r"/usr/lib/module.so cannot be read: entry at 0x0 has"):
        ProbePlanner(TargetCode(os.getpid())).image(loaded_code(damaged, "/usr/lib/module.so"))
