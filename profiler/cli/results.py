"""Writes the results of a recording, shows them, and asks for completeness."""

from __future__ import annotations

import sys
from pathlib import Path

from profiler.cli.streams import say, write_out
from profiler.errors import IncompleteError
from profiler.files.output_folder import OutputFolder
from profiler.files.recording_file import write_recording
from profiler.model.completeness import lookup_completeness, sample_completeness
from profiler.model.profile import Profile
from profiler.model.recording import TARGET_RESTART, Recording
from profiler.renderers import json, text
from profiler.renderers.outputs import OUTPUTS
from profiler.report.aggregate import aggregate


def write_results(recording: Recording, results: OutputFolder) -> Profile:
    """Write all files; the recording first, since everything else can be made of it again."""
    with results.binary("recording") as out:
        write_recording(recording, out)
    profile = aggregate(recording)
    for name, render in OUTPUTS.items():
        with results.text(name) as stream:
            render(profile, stream)
    return profile


def show(profile: Profile, folder: Path | None, as_json: bool, full: bool, quiet: bool) -> None:
    """Print a profile, and where its files are, unless there are none."""
    try:
        if as_json:
            write_out(json.render, profile)
        elif not quiet:
            write_out(text.render_full if full else text.render, profile)
    finally:
        if folder is not None and not quiet:
            say(sys.stderr, f"results: {folder}/report.html and {len(OUTPUTS)} more files")


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
