from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from profiler.cli import reports
from profiler.files.recording_file import write_recording
from profiler.model.recording import Frame, MappedFile
from tests.compiled import build, symbols_of
from tests.examples import recording


def test_debug_symbols_installed_later_name_what_was_unnamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = build(tmp_path, "int main(void) { return 0; }", "-Wl,--build-id=0x00112233445566")
    start = symbols_of(program)["main"]
    unnamed = replace(
        recording(),
        files=(MappedFile("/usr/sbin/asterisk", "00112233445566"),),
        frames=(Frame(1, 0, start, start, None, None),) * len(recording().frames),
    )
    with (tmp_path / "recording").open("wb") as out:
        write_recording(unnamed, out)
    monkeypatch.setattr(reports, "INSTALLED_SYMBOLS", tmp_path / "debug")

    reports.report(tmp_path, None, None, as_json=False, full=True)
    assert "then: ebpf-prof report FOLDER" in " ".join(capsys.readouterr().out.split())

    debug = tmp_path / "debug/.build-id/00/112233445566.debug"
    debug.parent.mkdir(parents=True)
    program.rename(debug)
    reports.report(tmp_path, None, None, as_json=False, full=True)
    named = capsys.readouterr().out
    assert " main " in named
    assert "frames without a name: 0 %" in named
