"""Follows the objects of a running Asterisk, and shows which were never freed."""

from __future__ import annotations

import sys
from contextlib import nullcontext

from profiler.asterisk.find import FoundTarget, find_asterisk
from profiler.cli.destination import Destination, opened
from profiler.cli.progress import ProgressLine
from profiler.cli.signals import stopping
from profiler.cli.streams import say, write_out
from profiler.errors import ProfilerError, UsageError
from profiler.files.leaks_file import write_leaks
from profiler.files.output_folder import OutputFolder
from profiler.model.leaks import LeaksRecording
from profiler.record.leaks_recorder import LeaksOptions, record_leaks
from profiler.renderers.exports import leaks_json
from profiler.renderers.terminal import leaks_text
from profiler.report.leaks import leaks_profile


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
        try:
            if folder is not None and destination is not None:
                _write(recording, folder, destination)
        except UsageError:  # the disk may be full by now; what was measured is still to be seen
            _show(recording, as_json)
            raise
    _show(recording, as_json)


def _write(recording: LeaksRecording, folder: OutputFolder, destination: Destination) -> None:
    with folder.numbered(destination.stem, destination.extension) as (name, out):
        write_leaks(recording, out)
    say(sys.stderr, f"results: {folder.path / name}")


def _show(recording: LeaksRecording, as_json: bool) -> None:
    write_out((leaks_json if as_json else leaks_text).render, leaks_profile(recording))


def _find(pid: int | None) -> FoundTarget:
    try:
        return find_asterisk(pid)
    except ProfilerError as error:
        hint = error.hint.replace("ebpf-prof asterisk", "ebpf-prof leaks")
        raise type(error)(error.message, hint) from None
