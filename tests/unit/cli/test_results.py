from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.cli.destination import Destination, opened
from profiler.cli.results import Written, require_complete, show, write
from profiler.errors import IncompleteError, UsageError
from profiler.files.recording_file import read_recording
from profiler.model.recording import Accounting
from profiler.renderers.exports.outputs import OUTPUTS
from tests.examples import field_story, recording


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(name: str | None, format: str | None = None, is_run: bool = True) -> Written:
    destination = Destination(None if name is None else Path(name), format)
    with opened(destination) as folder:
        return write(recording(), destination, folder, is_run)


def test_a_folder_gets_all_files_and_a_second_run_another() -> None:
    first, second = written("out"), written("out")
    assert (first.path, second.path) == (Path("out"), Path("out/2"))
    assert first.said == "out/report.html and 9 more files"
    assert second.said == "out/2/report.html and 9 more files (out holds another run)"
    files = {"recording", *OUTPUTS}
    assert {path.name for path in Path("out/2").iterdir()} == files
    assert {path.name for path in Path("out").iterdir()} == {"2", *files}


def test_one_file_is_all_that_is_written() -> None:
    assert written("a/x.svg", "svg").said == "a/x.svg"
    assert [str(path) for path in Path().rglob("*")] == ["a", "a/x.svg"]
    assert Path("a/x.svg").read_text().startswith("<")


def test_a_run_replaces_no_file() -> None:
    Path("x.pb.gz").write_text("mine")
    made = written("x.pb.gz", "pprof")
    assert (made.path, made.said) == (Path("x-2.pb.gz"), "x-2.pb.gz (x.pb.gz was there before)")
    assert Path("x.pb.gz").read_text() == "mine"
    assert gzip.decompress(Path("x-2.pb.gz").read_bytes())


def test_a_report_replaces_a_file_but_no_recording() -> None:
    for name in ("x.json", "x.recording"):
        Path(name).write_text("mine")
    written("x.json", "json", is_run=False)
    assert json.loads(Path("x.json").read_text())["schema"].startswith("ebpf-prof/profile/")
    written("x.recording", "recording", is_run=False)
    assert Path("x.recording").read_text() == "mine"
    assert read_recording(Path("x-2.recording")) == recording()


def test_the_standard_output_gets_nothing_else(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    made = written(None, "recording")
    show(made, as_json=False, full=False, quiet=False)
    sys.stdout.flush()
    out, errors = capfdbinary.readouterr()
    Path("copy").write_bytes(out)
    assert read_recording(Path("copy")) == recording()
    assert errors == b""


def test_quiet_prints_the_name_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    show(written("out"), as_json=False, full=False, quiet=True)
    show(written("x.svg", "svg"), as_json=False, full=False, quiet=True)
    assert capfd.readouterr() == ("out\nx.svg\n", "")


def test_without_quiet_the_report_is_printed_and_then_the_name(
    capfd: pytest.CaptureFixture[str],
) -> None:
    show(written("x.svg", "svg"), as_json=False, full=False, quiet=False)
    out, errors = capfd.readouterr()
    assert out.startswith("asterisk ")
    assert errors == "results: x.svg\n"


def test_quiet_json_is_json_only(capfd: pytest.CaptureFixture[str]) -> None:
    show(written("out"), as_json=True, full=False, quiet=True)
    out, errors = capfd.readouterr()
    assert json.loads(out)
    assert errors == ""


@pytest.mark.parametrize("name", ["recording", "keep.recording", "keep.Recording"])
def test_another_format_replaces_no_recording(name: str) -> None:
    Path(name).write_text("the only one")
    written(name, "json", is_run=False)
    assert Path(name).read_text() == "the only one"


def test_where_only_the_recording_had_room_the_hint_leads_elsewhere() -> None:
    Path("o ut").mkdir()
    Path("o ut/profile.json").symlink_to("nowhere")
    with pytest.raises(UsageError, match="is not a file") as error:
        written("o ut")
    assert error.value.hint == "ebpf-prof report 'o ut' -o ELSEWHERE"
    assert read_recording(Path("o ut/recording")) == recording()


def test_where_the_recording_had_no_room_there_is_nothing_to_report_again() -> None:
    Path("out").mkdir()
    destination = Destination(Path("out"))
    with pytest.raises(UsageError, match="is not a file") as error, opened(destination) as folder:
        Path("out/recording").symlink_to("nowhere")
        write(recording(), destination, folder, is_run=True)
    assert "report" not in error.value.hint


def test_strict_wants_nothing_lost() -> None:
    complete = replace(
        field_story(),
        sample_accounting=Accounting(10, 9, 1, 0, 0, 0),
        lookup_accounting=Accounting(5, 5, 0, 0, 0, 0),
    )
    require_complete(complete)
    cut = replace(complete, lookup_accounting=Accounting(5, 4, 0, 0, 0, 1))
    with pytest.raises(IncompleteError, match="1 lookups were lost, collided or truncated"):
        require_complete(cut)
    dead = replace(complete, target=replace(complete.target, exited=True))
    with pytest.raises(IncompleteError, match="ended before the time was over"):
        require_complete(dead)
    restarted = replace(dead, stopped_by="target restart")
    with pytest.raises(IncompleteError, match="restarted before the time was over"):
        require_complete(restarted)
