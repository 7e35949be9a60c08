"""Follows the objects of a running Asterisk, and shows which were never freed."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace

from profiler.asterisk.find import FoundTarget, find_asterisk
from profiler.cli import leak_reports
from profiler.cli.destination import Destination, opened
from profiler.cli.progress import ProgressLine
from profiler.cli.signals import stopping
from profiler.cli.streams import say
from profiler.errors import ProfilerError, UsageError
from profiler.files.leaks_file import write_leaks
from profiler.files.output_folder import OutputFolder
from profiler.linux.priority import NOT_RAISED, is_refused
from profiler.model.leaks import LeaksRecording
from profiler.record.leaks_recorder import LeaksOptions, record_leaks


def leaks(
    pid: int | None,
    options: LeaksOptions,
    destination: Destination | None,
    line: ProgressLine,
    as_json: bool,
) -> None:
    """Follow the Asterisk with that pid, or the only one; show the result, write it if asked."""
    target = _find(pid)
    line.prepare(f"reading the code of process {target.pid}")
    place = opened(destination) if destination is not None else nullcontext(None)
    with stopping(line.acknowledge) as stop, place as folder:
        recording = record_leaks(target, options, stop, line, line.prepare)
        line.end()
        if is_refused():
            recording = replace(recording, warnings=(*recording.warnings, NOT_RAISED))
        try:
            if folder is not None and destination is not None:
                _write(recording, folder, destination)
        except UsageError:  # the disk may be full by now; what was measured is still to be seen
            leak_reports.show(recording, as_json)
            raise
    leak_reports.show(recording, as_json)


def _write(recording: LeaksRecording, folder: OutputFolder, destination: Destination) -> None:
    with folder.numbered(destination.stem, destination.extension) as (name, out):
        write_leaks(recording, out)
    say(sys.stderr, f"results: {folder.path / name}")


def _find(pid: int | None) -> FoundTarget:
    try:
        return find_asterisk(pid)
    except ProfilerError as error:
        hint = error.hint.replace("ebpf-prof asterisk", "ebpf-prof leaks")
        raise type(error)(error.message, hint) from None
