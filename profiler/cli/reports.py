"""Shows recordings again, and what differs between two of them."""

from __future__ import annotations

import sys
from pathlib import Path

from profiler.binary.debug_files import INSTALLED_SYMBOLS, SymbolDirectory
from profiler.cli import results
from profiler.cli.destination import Destination, opened
from profiler.cli.streams import say, write_out
from profiler.errors import UsageError
from profiler.files.output_folder import OutputFolder
from profiler.files.recording_file import find_newest, read_recording
from profiler.model.recording import Recording
from profiler.names.rename import rename
from profiler.renderers import difference_text
from profiler.report.aggregate import aggregate
from profiler.report.difference import diff


def report(
    path: Path | None,
    destination: Destination | None,
    symbols: Path | None,
    as_json: bool,
    full: bool = False,
) -> None:
    """Show a recording, or write all its files again, with the names that are known by now."""
    path = path or _newest()
    folders = (symbols, INSTALLED_SYMBOLS) if symbols else (INSTALLED_SYMBOLS,)
    recording = rename(read_recording(path), [SymbolDirectory(folder) for folder in folders])
    if destination is None:
        results.show_profile(aggregate(recording), as_json, full)
        return

    def may_replace(folder: OutputFolder) -> bool:
        return _is_of_same_run(folder.path, recording)

    with opened(destination, may_replace) as folder:
        written = results.write(recording, destination, folder, is_run=False)
    results.show(written, as_json, full, quiet=False)


def show_difference(before: Path, after: Path) -> None:
    """Show what changed between two recordings."""
    difference = diff(aggregate(read_recording(before)), aggregate(read_recording(after)))
    write_out(difference_text.render, difference)


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
