from __future__ import annotations

import io
import json
import os
import threading
from dataclasses import replace
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from profiler.cli import reports
from profiler.cli.destination import Destination
from profiler.errors import UsageError
from profiler.files.leaks_file import write_leaks
from profiler.files.recording_file import write_recording
from profiler.model.recording import Frame, MappedFile, Recording
from profiler.renderers.exports import leaks_json
from profiler.renderers.terminal import leaks_text
from profiler.report.leaks.leaks_profile import leaks_profile
from tests import leak_examples
from tests.compiled import build, symbols_of
from tests.examples import recording

BUILD_ID = "00112233445566"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program with symbols; a recording of it without any name lies beside it."""
    path = build(tmp_path, "int main(void) { return 0; }", f"-Wl,--build-id=0x{BUILD_ID}")
    start = symbols_of(path)["main"]
    unnamed = replace(
        recording(),
        files=(MappedFile("/usr/sbin/asterisk", BUILD_ID),),
        frames=(Frame(1, 0, start, start, None, None),) * len(recording().frames),
    )
    with (tmp_path / "recording").open("wb") as out:
        write_recording(unnamed, out)
    return path


@pytest.fixture(autouse=True)
def _nothing_else_has_symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "INSTALLED_SYMBOLS", tmp_path / "debug")
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)


def test_debug_symbols_installed_later_name_what_was_unnamed(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    debug = tmp_path / "debug/.build-id/00/112233445566.debug"
    debug.parent.mkdir(parents=True)
    program.rename(debug)
    reports.report(tmp_path, None, None, False, full=True)
    said = capsys.readouterr()
    assert " main " in said.out
    assert "frames without a name: 0 %" in said.out
    assert said.err == ""


@pytest.mark.parametrize("given", ["results", "results/recording"])
def test_the_hint_for_names_can_be_pasted_anywhere(
    program: Path,
    tmp_path: Path,
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "recording").rename(tmp_path / "results/recording")
    monkeypatch.chdir(tmp_path)
    reports.report(Path(given), None, None, False, full=True)
    said = capsys.readouterr()
    assert f"/usr/sbin/asterisk (100 % of the samples, build id {BUILD_ID})" in " ".join(
        said.out.split()
    )
    hint = f"https://debuginfod.elfutils.org ebpf-prof report {tmp_path}/results/recording"
    assert said.err == f"for names: DEBUGINFOD_URLS={hint}\n"
    reports.report(Path(given), Destination(tmp_path / "other"), None, False)
    assert f"report {tmp_path}/other/recording\n" in capsys.readouterr().err


def test_a_folder_of_symbols_says_how_many_files_it_matched(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    reports.report(tmp_path, None, tmp_path / "empty", False)
    said = capsys.readouterr().err
    assert f"--symbols {tmp_path}/empty: 0 of 1 files matched\n" in said
    assert f"try: readelf -nS {tmp_path}/empty/*\n" in said
    reports.report(tmp_path, None, tmp_path, False)
    assert capsys.readouterr().err == f"--symbols {tmp_path}: 1 of 1 files matched\n"


def test_servers_are_asked_where_the_environment_has_some(
    program: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served = tmp_path / "www/buildid" / BUILD_ID / "debuginfo"
    served.parent.mkdir(parents=True)
    program.rename(served)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("DEBUGINFOD_URLS", f"http://127.0.0.1:{server.server_port}")
        reports.report(tmp_path, None, None, False, full=True)
        server.shutdown()
        thread.join()
    said = capsys.readouterr()
    assert "frames without a name: 0 %" in said.out
    assert said.err == ""
    reports.report(tmp_path, None, None, False, full=True)  # from what is kept
    assert "frames without a name: 0 %" in capsys.readouterr().out


def test_servers_that_fail_are_named_and_not_proposed_again(
    program: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1")
    reports.report(tmp_path, None, None, False, full=True)
    said = capsys.readouterr().err
    assert said.startswith("the debuginfod server 127.0.0.1:1 failed (Connection refused)")
    assert "for names" not in said


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
    named, hint = errors.splitlines()
    assert named == "the newest recording here: '\\x1b[2Jx/recording'"
    assert hint.startswith("for names: ") and hint.endswith("/\\x1b[2Jx/recording'")


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """Return a recording of 'ebpf-prof leaks'."""
    path = tmp_path / "run.leaks"
    with path.open("wb") as out:
        write_leaks(leak_examples.RECORDING, out)
    return path


def test_what_leaks_recorded_is_shown_as_then(
    objects: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = leaks_profile(leak_examples.RECORDING)
    for as_json, renderer in ((False, leaks_text), (True, leaks_json)):
        shown = io.StringIO()
        renderer.render(profile, shown)
        reports.report(objects, None, None, as_json)
        assert capsys.readouterr() == (shown.getvalue(), "")


def test_the_newest_may_be_of_either_kind(
    objects: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(objects.parent)
    save(objects.parent / "recording", recording())
    os.utime(objects, (1, 1))
    reports.report(None, None, None, False)
    assert "the newest recording here: 'recording'" in capsys.readouterr().err
    os.utime(objects.parent / "recording", (0, 0))
    reports.report(None, None, None, False)
    out, errors = capsys.readouterr()
    assert errors == "the newest recording here: 'run.leaks'\n"
    assert "MOST ALIVE" in out


def test_symbols_name_what_leaks_recorded(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unnamed = replace(
        leak_examples.RECORDING,
        files=(MappedFile("/usr/sbin/asterisk", BUILD_ID),),
        frames=(Frame(1, 0, symbols_of(program)["main"], None, None, None),),
    )
    path = program.parent / "x.leaks"
    with path.open("wb") as file:
        write_leaks(unnamed, file)
    folder = program.parent / "debug/.build-id/00"
    folder.mkdir(parents=True)
    program.rename(folder / "112233445566.debug")
    reports.report(path, None, program.parent / "debug", True)
    out, errors = capsys.readouterr()
    assert json.loads(out)["types"][0]["name"] == "main"
    assert "1 of 1 files matched" in errors


def test_of_what_leaks_recorded_no_file_is_written(objects: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="-o writes nothing of that") as raised:
        reports.report(objects, Destination(tmp_path / "x"), None, False)
    assert raised.value.hint == f"ebpf-prof report {objects} --json"


def test_what_leaks_recorded_is_not_compared(objects: Path) -> None:
    with pytest.raises(UsageError, match="holds what 'ebpf-prof leaks' recorded"):
        reports.read_renamed(objects)
