"""Shows recordings again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from profiler.binary.debug_files import INSTALLED_SYMBOLS, SymbolDirectory
from profiler.binary.debuginfod import PATIENCE_S, Debuginfod
from profiler.cli import results
from profiler.cli.destination import Destination, opened
from profiler.cli.progress import ProgressLine
from profiler.cli.streams import say
from profiler.errors import UsageError
from profiler.files.leaks_file import read_any
from profiler.files.output_folder import OutputFolder
from profiler.files.recording_file import FILE_NAME, find_newest, read_recording
from profiler.model.leaks import LeaksRecording
from profiler.model.recording import Recording
from profiler.names.rename import R, rename
from profiler.renderers.words.labels import clip
from profiler.report.aggregate import aggregate


def report(
    path: Path | None,
    destination: Destination | None,
    symbols: Path | None,
    as_json: bool,
    full: bool = False,
) -> None:
    """Show a recording, or write all its files again, with the names that are known by now."""
    path = path or _newest()
    found = read_any(path)
    if isinstance(found, LeaksRecording):
        _report_leaks(found, path, destination, symbols, as_json)
        return
    recording = _renamed(found, symbols)
    file = path / FILE_NAME if path.is_dir() else path
    if destination is None:
        profile = aggregate(recording)
        results.show_profile(profile, as_json, full)
        results.say_names(profile, file)
        return

    def may_replace(folder: OutputFolder) -> bool:
        return _is_of_same_run(folder.path, recording)

    with opened(destination, may_replace) as folder:
        written = results.write(recording, destination, folder, is_run=False)
    results.show(written, as_json, full, quiet=False)
    results.say_names(written.profile, written.recording or file)


def _report_leaks(
    recording: LeaksRecording,
    path: Path,
    destination: Destination | None,
    symbols: Path | None,
    as_json: bool,
) -> None:
    """Show what `ebpf-prof leaks` recorded: there are no files of that."""
    if destination is not None:
        raise UsageError(
            f"{str(path)!r} holds what 'ebpf-prof leaks' recorded: -o writes nothing of that",
            f"ebpf-prof report {shlex.quote(str(path))} --json",
        )
    from profiler.cli import leak_reports  # which takes long to import

    leak_reports.show(_renamed(recording, symbols), as_json)


def read_renamed(path: Path, symbols: Path | None = None) -> Recording:
    """Read a recording, with the names that are known by now."""
    return _renamed(read_recording(path), symbols)


def _renamed(recording: R, symbols: Path | None) -> R:
    if symbols is not None:
        results.say_matches(recording, symbols)
    return _with_names(recording, symbols)


def _with_names(recording: R, symbols: Path | None) -> R:
    """Return the recording with names from folders and, if the environment has some, servers."""
    for folder in (symbols, INSTALLED_SYMBOLS):
        if folder is not None:
            recording = rename(recording, SymbolDirectory(folder))
    servers = Debuginfod.from_environment(PATIENCE_S)
    if servers is None:
        return recording
    with ProgressLine(sys.stderr, quiet=False) as line:
        recording = rename(
            recording,
            servers,
            "debuginfod",
            lambda file: line.prepare(f"asking for the debug symbols of {clip(file.path, 40)}"),
        )
    for problem in servers.problems:
        say(sys.stderr, problem)
    return recording


def _newest() -> Path:
    """Return the newest recording here, and say which that is."""
    found = find_newest(Path())
    if found is None:
        raise UsageError(
            "there is no recording in this folder", "ebpf-prof report FOLDER, or --help"
        )
    say(sys.stderr, f"the newest recording here: {str(found)!r}")
    return found


def _is_of_same_run(path: Path, recording: Recording) -> bool:
    """Return whether a file is the same recording, perhaps with other names."""
    try:
        return _identity(read_recording(path)) == _identity(recording)
    except UsageError:
        return False


def _identity(recording: Recording) -> tuple[object, ...]:
    return recording.started_at, recording.window, recording.target.pid
