"""Follows the objects of a running Asterisk, and shows which were never freed."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TextIO

from profiler.asterisk.find import FoundTarget, find_asterisk
from profiler.cli.destination import Destination, opened
from profiler.cli.progress import ProgressLine
from profiler.cli.signals import stopping
from profiler.cli.streams import say, write_out
from profiler.errors import ProfilerError
from profiler.files.leaks_file import write_leaks
from profiler.model.leaks import Fate, LeaksRecording
from profiler.record.leaks_recorder import LeaksOptions, record_leaks
from profiler.renderers.words.labels import printable


def leaks(
    pid: int | None, options: LeaksOptions, destination: Destination | None, line: ProgressLine
) -> None:
    """Follow the Asterisk with that pid, or the only one; show the result, write it if asked."""
    target = _find(pid)
    line.prepare(f"reading the code of process {target.pid}")
    place = opened(destination) if destination is not None else nullcontext(None)
    with stopping(line.acknowledge) as stop, place as folder:
        recording = record_leaks(target, options, stop, line, line.prepare)
        line.end()
        if folder is not None and destination is not None:
            with folder.numbered(destination.stem, destination.extension) as (name, out):
                write_leaks(recording, out)
            say(sys.stderr, f"results: {folder.path / name}")
    write_out(_render, recording)


def _find(pid: int | None) -> FoundTarget:
    try:
        return find_asterisk(pid)
    except ProfilerError as error:
        hint = error.hint.replace("ebpf-prof asterisk", "ebpf-prof leaks")
        raise type(error)(error.message, hint) from None


def _render(recording: LeaksRecording, out: TextIO) -> None:
    out.writelines(f"{printable(line)}\n" for line in _lines(recording))


def _lines(recording: LeaksRecording) -> Iterator[str]:
    """Yield a line for each type of objects, most survivors first."""
    fates: defaultdict[int, Counter[Fate]] = defaultdict(Counter)
    for followed in recording.objects:
        fates[followed.type][followed.fate] += 1
    yield f"{'followed':>9} {'freed':>7} {'alive':>7} {'lost':>7}  allocated at"
    for kind in sorted(fates, key=lambda kind: -fates[kind][Fate.ALIVE]):
        counts = fates[kind]
        site = recording.sites[recording.types[kind].site]
        yield (
            f"{counts.total():9,} {counts[Fate.FREED]:7,} {counts[Fate.ALIVE]:7,} "
            f"{counts[Fate.LOST]:7,}  {site.file}:{site.line} {site.function}"
        )
    births, cost = recording.birth_accounting, recording.cost
    yield (
        f"{births.fired:,} objects born: {births.kept:,} followed, {births.filtered:,} not chosen, "
        f"{births.lost:,} lost"
    )
    ratio = cost.lookups_ns / recording.window.duration_ns
    yield f"cost to asterisk: {100 * ratio:.2f} % of one CPU"
    yield from (f"warning: {warning}" for warning in recording.warnings)
