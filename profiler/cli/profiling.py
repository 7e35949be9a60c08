"""Profiles the running Asterisk: finds it, records it, writes and shows the results."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from profiler.asterisk.find import find_asterisk
from profiler.cli.progress import ProgressLine
from profiler.cli.signals import stopping
from profiler.errors import UsageError
from profiler.files.output_folder import find_owner, output_folder
from profiler.linux.bcc import Compilation
from profiler.linux.priority import NOT_RAISED, is_refused
from profiler.record.preparation import Options
from profiler.record.progress import Progress
from profiler.record.recorder import record


def profile(
    pid: int | None,
    options: Options,
    compilation: Compilation,
    output: Path | None,
    line: ProgressLine,
    as_json: bool,
    full: bool,
    quiet: bool,
    strict: bool,
) -> None:
    """Record the Asterisk with that pid, or the only one; write all files, and show the report."""
    target = find_asterisk(pid)
    line.prepare(f"reading the code of process {target.pid}")
    folder = output or folder_of(target.pid)

    def report(progress: Progress) -> None:
        line(progress)
        # Now that the recording has begun: before it, and at its end, a user waits.
        import profiler.cli.results  # noqa: F401

    with output_folder(folder, find_owner(os.environ, os.geteuid())) as files:
        with stopping() as stop:
            recording = record(target, options, compilation, stop, report)
            line.end()
        if is_refused():
            recording = replace(recording, warnings=(*recording.warnings, NOT_RAISED))
        from profiler.cli import results
        from profiler.report.aggregate import aggregate

        try:
            shown = results.write_results(recording, files)
        except UsageError:  # the disk may be full by now; what was measured is still to be seen
            results.show(aggregate(recording), None, as_json, full, quiet)
            raise
    results.show(shown, folder, as_json, full, quiet)
    if strict:
        results.require_complete(shown)


def folder_of(pid: int) -> Path:
    """Return a new name for results; who profiles two processes at once gets two folders."""
    return Path(f"ebpf-prof-asterisk-{time.strftime('%Y%m%d-%H%M%S')}-{pid}")
