from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from profiler.cli.destination import (
    EXTENSIONS,
    NO_TEXT,
    Destination,
    opened,
    parse_destination,
    parse_recording,
)
from profiler.errors import UsageError
from profiler.renderers.exports.outputs import BINARY_FORMATS, TEXT_FORMATS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("output", "format", "path", "expected"),
    [
        ("results", None, "results", None),
        ("x.png", None, "x.png", None),
        ("a/cpu.svg", None, "a/cpu.svg", "svg"),
        ("X.HTML", None, "X.HTML", "html"),
        ("x.json", None, "x.json", "json"),
        ("x.speedscope.json", None, "x.speedscope.json", "speedscope"),
        ("x.pb.gz", None, "x.pb.gz", "pprof"),
        ("x.folded", None, "x.folded", "folded"),
        ("x.recording", None, "x.recording", "recording"),
        ("x.txt", "folded", "x.txt", "folded"),
        ("x.svg", "html", "x.svg", "html"),
        ("x.svg/", None, "x.svg", None),
        ("x" * 300 + ".svg", None, "x" * 300 + ".svg", "svg"),
    ],
)
def test_the_end_of_a_name_decides_unless_something_is_said(
    output: str, format: str | None, path: str, expected: str | None
) -> None:
    assert parse_destination(output, format) == Destination(Path(path), expected)


def test_a_folder_stays_one_whatever_it_is_called() -> None:
    Path("old.svg").mkdir()
    assert parse_destination("old.svg", None) == Destination(Path("old.svg"))


def test_nothing_is_said() -> None:
    assert parse_destination(None, None) is None


def test_what_has_only_a_recording_is_written_into_a_file_of_any_name() -> None:
    assert parse_recording(None) is None
    assert parse_recording("run.svg") == Destination(Path("run.svg"), "recording")
    for output in ("", "-", ".", "new/"):
        with pytest.raises(UsageError, match="names no file"):
            parse_recording(output)


def test_a_hyphen_is_the_standard_output() -> None:
    assert parse_destination("-", "folded") == Destination(None, "folded")


@pytest.mark.parametrize(
    ("output", "format", "as_json", "said"),
    [
        ("", None, False, "names no folder and no file"),
        ("", "svg", False, "names no folder and no file"),
        (None, "svg", False, "does not say where to"),
        ("-", None, False, "does not say in which format"),
        ("-", "json", True, "both want the standard output"),
        ("-", "pprof", False, "a terminal shows no pprof"),
        ("-", "recording", False, "a terminal shows no recording"),
        (".", "svg", False, "'.' is a folder"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(
    output: str, format: str, as_json: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(UsageError, match=said) as error:
        parse_destination(output, format, as_json)
    assert error.value.hint


@pytest.mark.parametrize(
    ("name", "stem", "extension"),
    [
        ("a/x.y.pb.gz", "x.y", ".pb.gz"),
        ("X.SVG", "X", ".SVG"),
        ("x.speedscope.json", "x", ".speedscope.json"),
        ("x.txt", "x.txt", ""),
    ],
)
def test_a_number_goes_between_stem_and_extension(name: str, stem: str, extension: str) -> None:
    destination = Destination(Path(name), "svg")
    assert (destination.stem, destination.extension) == (stem, extension)


def test_every_format_has_an_extension_and_something_that_renders_it() -> None:
    assert {*TEXT_FORMATS, *BINARY_FORMATS, "recording"} == set(EXTENSIONS.values())
    assert set(NO_TEXT) == {*BINARY_FORMATS, "recording"}


def test_what_is_opened_is_the_folder_or_the_one_that_a_file_is_in() -> None:
    with opened(Destination(Path("a/b"))) as folder:
        assert folder is not None
        assert folder.path == Path("a/b")
    with opened(Destination(Path("a/x.svg"), "svg")) as folder:
        assert folder is not None
        assert folder.path == Path("a")
    with opened(Destination(None, "svg")) as folder:
        assert folder is None
    assert not list(Path().iterdir())
