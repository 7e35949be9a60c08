from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.files.recording_file import write_recording
from tests.examples import recording

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A recording in which every frame has a name, so that there is nothing to say of names."""
    path, made = tmp_path / "recording", recording()
    frames = tuple(replace(frame, symbol=frame.symbol or "named") for frame in made.frames)
    with path.open("wb") as out:
        write_recording(replace(made, frames=frames), out)
    return path


def finished(*command: str, path: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{path}:{REPOSITORY}"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def run(*words: str, path: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return finished(sys.executable, "-m", "profiler", *words, path=path)


def shell(words: str) -> subprocess.CompletedProcess[str]:
    words = words.replace("ebpf-prof", f"{sys.executable} -m profiler")
    return finished("bash", "-o", "pipefail", "-c", words)


def test_a_recording_is_shown_again_from_its_file_or_its_folder(saved: Path) -> None:
    by_file, by_folder = run("report", str(saved)), run("report", str(saved.parent))
    assert (by_file.returncode, by_file.stderr) == (0, "")
    assert by_file.stdout.startswith("asterisk ")
    assert by_folder.stdout == by_file.stdout


def test_the_verdict_fits_a_screen_and_the_whole_report_is_there_on_request(saved: Path) -> None:
    verdict, full = run("report", str(saved)), run("report", str(saved), "--full")
    assert len(verdict.stdout.splitlines()) <= 22
    assert "\nHOT THREADS " not in verdict.stdout
    assert "\nHOT THREADS " in full.stdout


def test_a_recording_does_not_differ_from_itself(saved: Path) -> None:
    done = run("diff", str(saved), str(saved))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_difference_is_printed_or_written_not_both(saved: Path) -> None:
    done = run("diff", str(saved), str(saved), "--json", "-o", "x.json")
    assert done.returncode == 2
    assert "try: -o FILE.json" in done.stderr


def test_whoever_stops_reading_is_no_error(saved: Path) -> None:
    done = shell(f"ebpf-prof report {saved} | head -c 10")
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_cannot_be_written_is_an_error_of_one_line(saved: Path) -> None:
    done = shell(f"ebpf-prof report {saved} >/dev/full")
    assert done.returncode == 2
    first, hint = done.stderr.splitlines()
    assert first == "ebpf-prof: cannot write to the standard output: No space left on device"
    assert hint.startswith("  try: ebpf-prof report ")


@pytest.mark.parametrize("words", ["--help", "--version", "asterisk --help", "diff -h"])
def test_help_that_cannot_be_written_is_an_error_of_one_line(words: str) -> None:
    done = shell(f"ebpf-prof {words} >/dev/full")
    assert done.returncode == 2
    first, hint = done.stderr.splitlines()
    assert first == "ebpf-prof: cannot write to the standard output: No space left on device"
    assert hint == "  try: df -h"


def test_a_format_goes_through_a_pipe(saved: Path, tmp_path: Path) -> None:
    done = shell(f"ebpf-prof report {saved} -o - -f pprof | gzip -t && echo whole")
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")
    assert shell(f"ebpf-prof report {saved} -o - -f html | head -c 10").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["recording"]


def test_a_disk_with_room_for_the_recording_only(saved: Path, tmp_path: Path) -> None:
    room = saved.stat().st_size + 1_000
    done = shell(f"prlimit --fsize={room} ebpf-prof report {saved} -o {tmp_path}/a/b")
    assert done.returncode == 2
    first, hint = done.stderr.splitlines()
    assert re.fullmatch(r"ebpf-prof: cannot write '.*/a/b/[a-z.]+': File too large", first)
    assert hint == f"  try: ebpf-prof report {tmp_path}/a/b -o ELSEWHERE"
    again = shell(hint.removeprefix("  try: ").replace("ELSEWHERE", f"{tmp_path}/c"))
    assert (again.returncode, again.stderr) == (
        0,
        f"results: {tmp_path}/c/report.html and 9 more files\n",
    )


@pytest.mark.parametrize("words", [["-o", ""], ["-o", "-"], ["-f", "svg"], ["-o", "", "-f", "svg"]])
@pytest.mark.parametrize("command", ["asterisk", "report"])
def test_results_without_a_place_are_refused_with_a_hint(command: str, words: list[str]) -> None:
    done = run(command, *words)
    assert (done.returncode, done.stdout) == (2, "")
    refusal, hint = done.stderr.splitlines()
    assert refusal.startswith("ebpf-prof: -")
    assert hint.startswith("  try: -o ")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_file(saved: Path, tmp_path: Path, closed: str) -> None:
    for folder, streams in (("plain", ""), ("closed", closed)):
        done = shell(f"ebpf-prof report {saved} -o {tmp_path / folder} {streams}")
        assert done.returncode == 0
    for path in (tmp_path / "plain").iterdir():
        assert path.read_bytes() == (tmp_path / "closed" / path.name).read_bytes()
    if closed == "2>&-":
        assert done.stdout == run("report", str(saved)).stdout


def test_an_error_that_nobody_reads_keeps_its_code(tmp_path: Path) -> None:
    for errors in ("2>&-", "2>/dev/full"):
        assert shell(f"ebpf-prof report {tmp_path / 'none'} {errors}").returncode == 2


def test_an_interrupt_while_modules_are_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "click").mkdir()
    (tmp_path / "click" / "__init__.py").write_text(
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = run("--help", path=tmp_path)
    assert done.returncode == 130
    assert done.stderr == "ebpf-prof: aborted; no probe is left\n"


def test_no_command_at_all_is_an_error_of_one_line() -> None:
    done = run()
    assert done.returncode == 2
    assert done.stderr == "ebpf-prof: Missing command.\n  try: ebpf-prof --help\n"


@pytest.mark.parametrize("words", [["--help"], ["asterisk", "--help"], ["report", "-h"]])
def test_help_fits_into_eighty_columns(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-U", "-K"), "nothing to"),
        (("--verify", "--cpu-only"), "nothing to"),
        (("-d", "soon"), "is no duration"),
        (("-F", "0"), "'-F'"),
        (("--budget", "0.01%"), "is no budget"),
        (("--frequently",), "No such option"),
    ],
)
def test_senseless_options_are_refused_with_a_hint(words: tuple[str, ...], reason: str) -> None:
    result = run("asterisk", *words)
    assert (result.returncode, result.stdout) == (2, "")
    refusal, hint = result.stderr.splitlines()
    assert reason in refusal
    assert hint.startswith("  try: ")
