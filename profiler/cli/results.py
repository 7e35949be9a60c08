"""Writes the results of a recording, shows them, and asks for completeness."""

from __future__ import annotations

import io
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from profiler.binary.debug_files import SymbolDirectory
from profiler.binary.debuginfod import SERVERS
from profiler.cli.destination import RECORDING, Destination
from profiler.cli.streams import say, write_bytes, write_out
from profiler.errors import IncompleteError, UsageError
from profiler.files.output_folder import OutputFolder, as_text
from profiler.files.recording_file import FILE_NAME, write_recording
from profiler.model.completeness import lookup_completeness, sample_completeness
from profiler.model.leaks import LeaksRecording
from profiler.model.profile import Profile
from profiler.model.recording import TARGET_RESTART, Recording
from profiler.names.rename import matches
from profiler.renderers.exports import json
from profiler.renderers.exports.outputs import BINARY_FORMATS, OUTPUTS, TEXT_FORMATS
from profiler.renderers.terminal import text
from profiler.renderers.words import name_hint
from profiler.renderers.words.labels import printable
from profiler.report.aggregate import aggregate


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and where to; no path: to the standard output."""

    profile: Profile
    path: Path | None
    said: str = ""
    recording: Path | None = None  # where it is, if it was written


def write(
    recording: Recording, destination: Destination, folder: OutputFolder | None, is_run: bool
) -> Written:
    """Write results, `folder` being what was opened for them; a run's replace no others."""
    if folder is None or destination.path is None:
        profile = aggregate(recording)
        out = io.BytesIO()
        _render(destination, recording, profile, out)
        write_bytes(out.getvalue())
        return Written(profile, None)
    if destination.format is not None:
        return _write_file(recording, destination, folder, is_run)
    profile = write_results(recording, folder)
    taken = f" ({destination.path} holds another run)" * (folder.path != destination.path)
    said = f"{folder.path}/report.html and {len(OUTPUTS)} more files{taken}"
    return Written(profile, folder.path, said, folder.path / FILE_NAME)


def write_results(recording: Recording, results: OutputFolder) -> Profile:
    """Write all files; the recording first, since everything else can be made of it again."""
    with results.binary(FILE_NAME) as out:
        write_recording(recording, out)
    profile = aggregate(recording)
    try:
        for name, render in OUTPUTS.items():
            with results.text(name) as stream:
                render(profile, stream)
    except UsageError as error:
        hint = f"ebpf-prof report {shlex.quote(str(results.path))} -o ELSEWHERE"
        raise UsageError(error.message, hint) from error
    return profile


def _write_file(
    recording: Recording, destination: Destination, folder: OutputFolder, is_run: bool
) -> Written:
    profile = aggregate(recording)
    name = f"{destination.stem}{destination.extension}"
    # Nothing replaces what is called like a recording: it may be the only one of its run.
    is_recording = name == FILE_NAME or destination.extension.lower() == ".recording"
    if is_run or is_recording or destination.format == RECORDING:
        with folder.numbered(destination.stem, destination.extension) as (name, out):
            _render(destination, recording, profile, out)
    else:
        with folder.binary(name) as out:
            _render(destination, recording, profile, out)
    path = folder.path / name
    taken = f" ({destination.path} was there before)" * (path != destination.path)
    recorded = path if destination.format == RECORDING else None
    return Written(profile, path, f"{path}{taken}", recorded)


def _render(
    destination: Destination, recording: Recording, profile: Profile, out: BinaryIO
) -> None:
    """Write the one format that is asked for."""
    name = destination.format
    assert name is not None
    if name == RECORDING:
        write_recording(recording, out)
    elif name in BINARY_FORMATS:
        BINARY_FORMATS[name](profile, out)
    else:
        with as_text(out) as text_out:
            TEXT_FORMATS[name](profile, text_out)


def show(written: Written, as_json: bool, full: bool, quiet: bool) -> None:
    """Print the report, and where the files are; only that, for programs, if it is to be quiet."""
    if written.path is None:
        return
    if quiet and not as_json:
        write_bytes(os.fsencode(written.path) + b"\n")
        return
    try:
        show_profile(written.profile, as_json, full)
    finally:
        if not quiet:
            say(sys.stderr, f"results: {written.said}")


def show_profile(profile: Profile, as_json: bool, full: bool) -> None:
    """Print a profile."""
    write_out(json.render if as_json else text.render_full if full else text.render, profile)


def say_names(profile: Profile, recording: Path) -> None:
    """Say which command names the frames without a name, if there are many of them."""
    command = name_hint.command(profile, str(recording.absolute()))
    if command is None or (command.startswith(SERVERS) and SERVERS in os.environ):
        return  # servers were asked already
    say(sys.stderr, f"for names: {printable(command)}")


def say_matches(recording: Recording | LeaksRecording, symbols: str | Path) -> None:
    """Say for how many files the folder of --symbols has symbols."""
    found, files = matches(recording, SymbolDirectory(Path(symbols)))
    say(sys.stderr, f"--symbols {symbols}: {found} of {files} files matched")
    if files and not found:
        say(sys.stderr, "  a file matches if it has the same build id and is not stripped;")
        say(sys.stderr, f"  try: readelf -nS {shlex.quote(str(symbols))}/*")


def require_complete(profile: Profile) -> None:
    """Raise IncompleteError when anything was lost."""
    missing = []
    for name, known, events in (
        ("samples", sample_completeness(profile), profile.sample_accounting),
        ("lookups", lookup_completeness(profile), profile.lookup_accounting),
    ):
        gone = known.lost + events.truncated
        if gone:
            missing.append(f"{gone:,} {name} were lost, collided or truncated")
    if profile.target.exited:
        ended = "restarted" if profile.stopped_by == TARGET_RESTART else "ended"
        missing.append(f"the target {ended} before the time was over")
    if missing:
        raise IncompleteError(
            "incomplete: " + "; ".join(missing), "run it again, or without --strict"
        )
