"""The recording of `ebpf-prof leaks` as a file: gzip'd JSON of `LeaksRecording`, field by field.

As with other recordings, a file may come from anyone: see recording_file.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from profiler.files.recording_file import HINT, parse_recording, read_packed, write_packed
from profiler.files.serializer import Json, MismatchError, decode
from profiler.model.leaks import LEAKS_SCHEMA, Change, LeaksRecording
from profiler.model.recording import Accounting, Recording

_BEGIN = f'{{"schema":"{LEAKS_SCHEMA}"'.encode()
# Reading makes an object of each value; those of so many take 3 GB at most. Of what one run keeps
# (profiler/leaks/quota.py), 2.4 million changes with 9 values are most.
_VALUES_MAX = 30_000_000
# Reports multiply some of these, and programs that read them get the products. Runs keep 4,096
# types, 1,000 containers with 512 sizes, stacks of 128 frames, histories of 4,096 changes and as
# many gaps, 10 names of a type, and names that are cut at 256 characters or are symbols.
_MANY_MAX = 16_384
_CONTAINERS_MAX = 4_096
_FRAMES_MAX = _SIZES_MAX = _WARNINGS_MAX = 1_024
_NAMES_MAX = 100
_NAME_MAX = 4_096
_HINT = "Such recordings are the files that 'ebpf-prof leaks -o FILE' writes."


def write_leaks(recording: LeaksRecording, out: BinaryIO) -> None:
    """Write the recording; equal recordings give equal bytes."""
    write_packed(recording, out)


def read_leaks(path: Path) -> LeaksRecording:
    """Return the recording in a file; UsageError says what is wrong with it."""
    return read_packed(path, parse_leaks, _HINT)


def read_any(path: Path) -> Recording | LeaksRecording:
    """Return what a recording of either kind holds; UsageError says what is wrong with it."""
    return read_packed(path, _parse_any, f"{HINT} Others are those of 'ebpf-prof leaks -o FILE'.")


def _parse_any(text: bytes) -> Recording | LeaksRecording:
    """Parse either kind: every writer puts the schema first."""
    return parse_leaks(text) if text.startswith(_BEGIN) else parse_recording(text)


def parse_leaks(text: bytes) -> LeaksRecording:
    """Return the recording that JSON text holds; ValueError says what is wrong."""
    if sum(map(text.count, (b",", b"[", b"{"))) > _VALUES_MAX:
        raise ValueError(f"is not a valid recording: holds more than {_VALUES_MAX} values")
    try:
        document: Json = json.loads(text)
    except (RecursionError, ValueError):
        raise ValueError("is not a recording: no valid JSON inside") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != LEAKS_SCHEMA:
        raise ValueError(f"has another format than {LEAKS_SCHEMA!r}")
    try:
        recording = decode(LeaksRecording, document)
    except MismatchError as error:
        raise ValueError(f"is not a valid recording: {error}") from None
    for name, index, length in _references(recording):
        if not 0 <= index < length:
            raise ValueError(f"is not a valid recording: {name}: {index} is not below {length}")
    for name, length, limit in _lengths(recording):
        if length > limit:
            raise ValueError(f"is not a valid recording: {name}: {length} is above {limit}")
    for name, quantity in _quantities(recording):
        if quantity < 0:
            raise ValueError(f"is not a valid recording: {name}: is below zero")
    if recording.window.duration_ns <= 0:
        raise ValueError("is not a valid recording: window: ends before it starts")
    for container in recording.containers:
        if any(after[0] < before[0] for before, after in pairwise(container.elements)):
            raise ValueError("is not a valid recording: containers.elements: not by time")
    return recording


def _references(recording: LeaksRecording) -> Iterator[tuple[str, int, int]]:
    """Yield (field, index, length of what it points into) for every index in a recording."""
    frames, stacks = len(recording.frames), len(recording.stacks)
    sites, types = len(recording.sites), len(recording.types)
    for frame in recording.frames:
        if frame.file is not None:
            yield "frames.file", frame.file, len(recording.files)
    for stack in recording.stacks:
        yield "stacks.kernel_count", stack.kernel_count, len(stack.frames) + 1
        for index in stack.frames:
            yield "stacks.frames", index, frames
    for kind in recording.types:
        yield "types.site", kind.site, sites
        if kind.destructor is not None:
            yield "types.destructor", kind.destructor, frames
    for born in recording.births:
        yield "births.type", born.type, types
    for link in recording.links:
        yield "links.site", link.site, sites
    for container in recording.containers:
        for function in (container.comparator, container.hash_function):
            if function is not None:
                yield "containers functions", function, frames
    for called in recording.names:
        yield "names.type", called.type, types
    for followed in recording.objects:
        yield "objects.type", followed.type, types
        if followed.stack is not None:
            yield "objects.stack", followed.stack, stacks
        for change in followed.history:
            yield from _change_references(change, sites, stacks)


def _change_references(change: Change, sites: int, stacks: int) -> Iterator[tuple[str, int, int]]:
    if change.site is not None:
        yield "objects.history.site", change.site, sites
    if change.stack is not None:
        yield "objects.history.stack", change.stack, stacks


def _lengths(recording: LeaksRecording) -> Iterator[tuple[str, int, int]]:
    """Yield (field, length, limit) for what reports multiply with each other."""
    yield "sites", len(recording.sites), _MANY_MAX
    yield "types", len(recording.types), _MANY_MAX
    yield "containers", len(recording.containers), _CONTAINERS_MAX
    yield "warnings", len(recording.warnings), _WARNINGS_MAX
    for stack in recording.stacks:
        yield "stacks.frames", len(stack.frames), _FRAMES_MAX
    for site in recording.sites:
        yield "sites.file", len(site.file or ""), _NAME_MAX
        yield "sites.function", len(site.function), _NAME_MAX
    for container in recording.containers:
        yield "containers.elements", len(container.elements), _SIZES_MAX
    for called in recording.names:
        yield "names.names", len(called.names), _NAMES_MAX
        for one in called.names:
            yield "names.names.name", len(one.name), _NAME_MAX
    for followed in recording.objects:
        yield "objects.history", len(followed.history), _MANY_MAX


def _quantities(recording: LeaksRecording) -> Iterator[tuple[str, int]]:
    """Yield (field, value) for all that reports show, and that cannot be below zero."""
    yield "target.pid", recording.target.pid
    yield "window.start_ns", recording.window.start_ns
    for name in ("birth_accounting", "change_accounting"):
        accounting: Accounting = getattr(recording, name)
        yield name, min(accounting.fired, accounting.filtered, accounting.lost)
    for link in recording.links:
        yield "links.count", link.count
    for container in recording.containers:
        yield "containers.elements", min((count for _, count in container.elements), default=0)
    for called in recording.names:
        yield "names.read", called.read
        yield "names.names.count", min((one.count for one in called.names), default=0)
