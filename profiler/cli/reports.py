"""Shows recordings again."""

from __future__ import annotations

import sys
from pathlib import Path

from profiler.binary.debug_files import INSTALLED_SYMBOLS, SymbolDirectory
from profiler.binary.debuginfod import PATIENCE_S, Debuginfod
from profiler.cli import results
from profiler.cli.destination import Destination, opened
from profiler.cli.progress import ProgressLine
from profiler.cli.streams import say
from profiler.errors import UsageError
from profiler.files.output_folder import OutputFolder
from profiler.files.recording_file import FILE_NAME, find_newest, read_recording
from profiler.model.recording import Recording
from profiler.names.rename import rename
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
    recording = read_renamed(path, symbols)
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


def read_renamed(path: Path, symbols: Path | None = None) -> Recording:
    """Read a recording, with the names that are known by now."""
    recording = read_recording(path)
    if symbols is not None:
        results.say_matches(recording, symbols)
    return _with_names(recording, symbols)


def _with_names(recording: Recording, symbols: Path | None) -> Recording:
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
