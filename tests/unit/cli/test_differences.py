from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.cli import differences
from profiler.cli.destination import parse_destination
from profiler.errors import UsageError
from profiler.files.recording_file import write_recording
from tests.examples import recording


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    """Return a recording, and a folder with one of the same when nothing ran."""
    before, after = tmp_path / "before", tmp_path / "results"
    after.mkdir()
    idle = replace(recording(), samples=(), threads=(), operations=None)
    for path, one in ((before, recording()), (after / "recording", idle)):
        with path.open("wb") as out:
            write_recording(one, out)
    return before, after


def test_it_is_printed_as_text_or_as_json(saved, capsys) -> None:
    differences.show(saved[0], saved[1], None, as_json=False)
    assert "THREADS" in capsys.readouterr().out
    differences.show(saved[0], saved[1], None, as_json=True)
    assert json.load(io.StringIO(capsys.readouterr().out))["schema"] == "ebpf-prof/difference/1"


@pytest.mark.parametrize(
    ("name", "begin"),
    [("a.svg", "<?xml "), ("b.html", "<!DOCTYPE html>"), ("c.json", '{\n "schema"')],
)
def test_a_file_is_written_as_its_name_says(saved, tmp_path, capsys, name, begin) -> None:
    path = tmp_path / name
    differences.show(saved[0], saved[1], parse_destination(str(path), None), as_json=False)
    assert path.read_text().startswith(begin)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"difference: {path}\n")


@pytest.mark.parametrize("name", ["a", "a.txt", "a.svg.gz", "a.folded", "a.pb.gz"])
def test_a_name_that_tells_nothing_is_refused(saved, tmp_path, name) -> None:
    with pytest.raises(UsageError) as error:
        destination = parse_destination(str(tmp_path / name), None)
        differences.show(saved[0], saved[1], destination, as_json=False)
    assert error.value.hint == "-o FILE.svg, FILE.html, FILE.json"
    assert not (tmp_path / name).exists()


def test_a_link_is_not_followed(saved, tmp_path) -> None:
    (tmp_path / "a.svg").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        destination = parse_destination(str(tmp_path / "a.svg"), None)
        differences.show(saved[0], saved[1], destination, as_json=False)
    assert not (tmp_path / "elsewhere").exists()
