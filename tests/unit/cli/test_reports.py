from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from profiler.cli import reports
from profiler.cli.destination import Destination
from profiler.errors import UsageError
from profiler.files.recording_file import write_recording
from profiler.model.recording import Frame, MappedFile, Recording
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


def save(path: Path, value: Recording) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        write_recording(value, out)
    return path.read_bytes()


def test_the_same_recording_is_written_over_and_another_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(recording(), started_at="2001-01-01T00:00:00Z")
    kept = save(tmp_path / "other" / "recording", other)
    save(tmp_path / "mine" / "recording", recording())
    reports.report(tmp_path / "mine", Destination(tmp_path / "mine"), None, False)
    reports.report(tmp_path / "mine", Destination(tmp_path / "other"), None, False)
    reports.report(tmp_path / "mine", Destination(tmp_path / "other"), None, False)
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {str(path.relative_to(tmp_path)) for path in folders} == {"mine", "other", "other/2"}
    assert (tmp_path / "mine" / "report.html").exists()
    assert (tmp_path / "other" / "2" / "report.html").exists()
    assert [path.name for path in (tmp_path / "other").iterdir() if path.is_file()] == ["recording"]
    assert (tmp_path / "other" / "recording").read_bytes() == kept
    assert f"({tmp_path}/other holds another run)" in capsys.readouterr().err


def test_what_is_damaged_is_not_written_over(tmp_path: Path) -> None:
    save(tmp_path / "mine" / "recording", recording())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "recording").write_text("precious")
    reports.report(tmp_path / "mine", Destination(tmp_path / "other"), None, False)
    assert (tmp_path / "other" / "recording").read_text() == "precious"
    assert (tmp_path / "other" / "2" / "recording").exists()


def test_the_newest_recording_here_is_shown_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no recording in this folder"):
        reports.report(None, None, None, False)
    save(tmp_path / "\x1b[2Jx" / "recording", recording())
    reports.report(None, None, None, False)
    out, errors = capsys.readouterr()
    assert out.startswith("asterisk ")
    assert errors == "the newest recording here: '\\x1b[2Jx/recording'\n"
