"""What a run shows while it goes on, and what is left out when that is asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.instance import Instance
from profiler.errors import IncompleteError
from tests.live.load import storm
from tests.live.running import command, finished, profile, run, started

pytestmark = [pytest.mark.live, pytest.mark.root]

LINE = re.compile(r" *\d+\.\d of \d+ s, [\d,]+ samples, [\d,]+ lookups, cost \d+\.\d % of one CPU")


def test_a_terminal_shows_one_line_that_moves(sip: Instance, tmp_path: Path) -> None:
    with storm(sip, "shown", 70, threads=1), started(sip.pid, tmp_path / "r", seconds=4) as running:
        result = running.finish()
    progress = running.progress()
    assert len(progress) >= 2
    assert progress == sorted(progress)
    assert progress[-1][1] > 0
    shown = running.shown.split("\r")
    assert shown[1].startswith("preparing: ")
    lines = [part.rstrip() for part in shown if " of 4 s" in part]
    assert all(LINE.fullmatch(line) for line in lines)
    assert all(len(line) < 80 for line in lines)
    # Nothing of it is left when the report comes.
    assert running.shown.rsplit(" of 4 s", 1)[1].split("\r")[1].strip() == ""
    assert result.out.startswith("asterisk ")


def test_a_pipe_that_nobody_reads_ends_nothing(sip: Instance, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    words = " ".join(command("asterisk", "-p", str(sip.pid), "-d", "12s", "-o", str(folder)))
    script = f"{words} 2>&1 >/dev/null | head -1; exit ${{PIPESTATUS[0]}}"
    result = finished(["bash", "-c", script], folder, seconds=12)
    assert result.code == 0
    assert LINE.fullmatch(result.out.rstrip("\n"))
    assert (folder / "report.html").exists()


def test_quiet_prints_where_the_files_are(sip: Instance, tmp_path: Path) -> None:
    result = profile(sip.pid, tmp_path / "result", "-q", seconds=1)
    assert (result.out, result.errors) == (f"{result.folder}\n", "")
    assert (result.folder / "report.html").exists()
    again = profile(sip.pid, tmp_path / "result", "-q", "--cpu-only", seconds=1)
    assert again.out == f"{result.folder}/2\n"
    assert (result.folder / "2" / "report.html").exists()


def test_one_file_or_the_standard_output_is_all_that_is_written(
    sip: Instance, tmp_path: Path
) -> None:
    path = str(tmp_path / "a" / "x.pb.gz")
    made = profile(sip.pid, tmp_path / "b", "-o", path, "--cpu-only", seconds=1)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.pb.gz"]
    assert made.errors.endswith(f"results: {path}\n")
    words = ["asterisk", "-p", str(sip.pid), "-d", "1s", "--cpu-only", "-o", "-", "-f", "svg"]
    result = run(words, tmp_path / "b", 1)
    assert result.code == 0, result.errors
    assert result.out.startswith("<")
    assert result.out.endswith("</svg>\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_only_the_cpu(sip: Instance, tmp_path: Path) -> None:
    with storm(sip, "shown", 70, threads=1):
        report = profile(sip.pid, tmp_path / "result", "--cpu-only", seconds=2).profile()
    assert report["containers"] == []
    assert report["cost"]["lookups_ratio"] == 0
    assert report["accounting"]["lookups"] is None  # nobody looked for them
    assert report["accounting"]["samples"]["kept"] > 10


@pytest.mark.parametrize(("option", "has_user", "has_kernel"), [("-U", 1, 0), ("-K", 0, 1)])
def test_frames_of_one_side_only(
    sip: Instance, tmp_path: Path, option: str, has_user: int, has_kernel: int
) -> None:
    with storm(sip, "shown", 70, threads=2):
        result = profile(sip.pid, tmp_path / "r", option, "-F", "999", "--cpu-only", seconds=4)
    frames = [
        frame
        for stack, _ in result.folded("cpu.folded")
        for frame in stack[1:]
        if not frame.startswith("[stack truncated")
    ]
    kernel = [frame for frame in frames if frame.endswith("_[k]")]
    assert bool(len(frames) - len(kernel)) == bool(has_user)
    assert bool(kernel) == bool(has_kernel)


def test_strict_says_whether_the_run_is_complete(sip: Instance, tmp_path: Path) -> None:
    # A sample that meets a thread inside one of our probes has no whole stack, which is rare here.
    folder = tmp_path / "result"
    words = ["asterisk", "-p", str(sip.pid), "-d", "2s", "-o", str(folder), "--strict", "-U"]
    result = run(words, folder, 2)
    gone = {
        name: counts["lost"] + counts["collided"] + counts["truncated"]
        for name, counts in result.profile()["accounting"].items()
    }
    assert result.code == (IncompleteError.exit_code if any(gone.values()) else 0), result.errors
    assert ("incomplete" in result.errors) == (result.code != 0)
