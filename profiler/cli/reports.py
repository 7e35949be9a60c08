"""Shows recordings again, and what differs between two of them."""

from __future__ import annotations

import os
from pathlib import Path

from profiler.binary.debug_files import INSTALLED_SYMBOLS, SymbolDirectory
from profiler.cli.results import show, write_results
from profiler.cli.streams import write_out
from profiler.files.output_folder import find_owner, output_folder
from profiler.files.recording_file import read_recording
from profiler.model.recording import Recording
from profiler.names.rename import rename
from profiler.renderers import difference_text
from profiler.report.aggregate import aggregate
from profiler.report.difference import diff


def report(
    recording: Path, output: Path | None, symbols: Path | None, as_json: bool, full: bool = False
) -> None:
    """Show a recording, or write all its files again, with the names that are known by now."""
    folders = (symbols, INSTALLED_SYMBOLS) if symbols else (INSTALLED_SYMBOLS,)
    recorded = rename(_read(recording), [SymbolDirectory(folder) for folder in folders])
    if output is None:
        show(aggregate(recorded), None, as_json, full, quiet=False)
        return
    with output_folder(output, find_owner(os.environ, os.geteuid())) as results:
        profile = write_results(recorded, results)
    show(profile, output, as_json, full, quiet=False)


def show_difference(before: Path, after: Path) -> None:
    """Show what changed between two recordings."""
    difference = diff(aggregate(_read(before)), aggregate(_read(after)))
    write_out(difference_text.render, difference)


def _read(path: Path) -> Recording:
    """Read a recording, or the one in a folder of results."""
    return read_recording(path / "recording" if path.is_dir() else path)
