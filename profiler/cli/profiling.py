"""Profiles the running Asterisk: finds it, records it, writes and shows the results."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from profiler.asterisk.find import find_asterisk
from profiler.cli.destination import Destination, opened
from profiler.cli.progress import ProgressLine
from profiler.cli.signals import stopping
from profiler.errors import UsageError
from profiler.linux.bcc import Compilation
from profiler.linux.priority import NOT_RAISED, is_refused
from profiler.record.preparation.sampling import Options
from profiler.record.progress import Progress
from profiler.record.recorder import record


def profile(
    pid: int | None,
    options: Options,
    compilation: Compilation,
    destination: Destination | None,
    line: ProgressLine,
    as_json: bool,
    full: bool,
    quiet: bool,
    strict: bool,
) -> None:
    """Record the Asterisk with that pid, or the only one; write all files, and show the report."""
    target = find_asterisk(pid)
    line.prepare(f"reading the code of process {target.pid}")
    destination = destination or Destination(folder_of(target.pid))

    def report(progress: Progress) -> None:
        line(progress)
        # Now that the recording has begun: before it, and at its end, a user waits.
        import profiler.cli.results  # noqa: F401

    with stopping(line.acknowledge) as stop, opened(destination) as folder:
        recording = record(target, options, compilation, stop, report, line.prepare)
        line.end()
        if is_refused():
            recording = replace(recording, warnings=(*recording.warnings, NOT_RAISED))
        from profiler.cli import results
        from profiler.report.aggregate import aggregate

        try:
            written = results.write(recording, destination, folder, is_run=True)
        except UsageError:  # the disk may be full by now; what was measured is still to be seen
            if folder is not None and (as_json or not quiet):
                results.show_profile(aggregate(recording), as_json, full)
            raise
    results.show(written, as_json, full, quiet)
    if not quiet:
        if options.symbols:
            results.say_matches(recording, options.symbols)
        if written.recording is not None:
            results.say_names(written.profile, written.recording)
    if strict:
        results.require_complete(written.profile)


def folder_of(pid: int) -> Path:
    """Return a new name for results; who profiles two processes at once gets two folders."""
    return Path(f"ebpf-prof-asterisk-{time.strftime('%Y%m%d-%H%M%S')}-{pid}")
