"""The recording as a file: gzip'd JSON of `Recording`, field by field; see docs/recording.md.

A file may come from anyone. Reading bounds its size, checks every type and every index, and turns
whatever is wrong into a UsageError that names the file and the field.
"""

from __future__ import annotations

import gzip
import json
import os
import stat
import typing
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from profiler.errors import UsageError
from profiler.files.serializer import Json, MismatchError, decode, members
from profiler.files.task_checks import task_distributions, task_quantities, task_references
from profiler.model.leaks import LEAKS_SCHEMA
from profiler.model.recording import SCHEMA, Distribution, Recording, Window
from profiler.model.time_line import TimeLine

FILE_NAME = "recording"
LEAKS_EXTENSION = ".leaks"  # of recordings of 'ebpf-prof leaks'
# 600,000 samples, 100 threads busy for a minute at 99 Hz, are 28 MB of JSON; a bomb has no end.
UNPACKED_BYTES_MAX = 512 * 1024 * 1024
FREQUENCY_HZ = (0.001, 1e6)  # of sampling; renderers divide by it, and by the window
TIME_LINE_MAX = 1_000  # intervals, and containers that are followed; a page draws each
_CHUNK_BYTES = 1024 * 1024
_ITEMS_AT_ONCE = 10_000
HINT = "Recordings are the files named 'recording' that 'ebpf-prof asterisk' writes."
_PATTERNS = (
    FILE_NAME,
    f"*.{FILE_NAME}",
    f"*{LEAKS_EXTENSION}",
    f"*/{FILE_NAME}",
    f"*/[0-9]*/{FILE_NAME}",
)
T = TypeVar("T")


def write_recording(recording: Recording, out: BinaryIO) -> None:
    """Write the recording; equal recordings give equal bytes."""
    write_packed(recording, out)


def write_packed(recording: object, out: BinaryIO) -> None:
    """Write any kind of recording."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed:
        for part in _parts(recording):
            packed.write(part.encode("ascii"))


def _parts(recording: object) -> Iterator[str]:
    """Yield its JSON, of long lists some items at a time: a million stacks are 300 MB of it."""
    before = "{"
    for name, value in typing.cast("dict[str, object]", members(recording)).items():
        yield f'{before}"{name}":'
        before = ","
        if not isinstance(value, tuple):
            yield _dump(value)
            continue
        yield "["
        for at in range(0, len(value), _ITEMS_AT_ONCE):
            yield "," * bool(at) + _dump(value[at : at + _ITEMS_AT_ONCE])[1:-1]
        yield "]"
    yield "}"


def _dump(value: object) -> str:
    return json.dumps(
        value, default=members, allow_nan=False, check_circular=False, separators=(",", ":")
    )


def read_recording(path: Path) -> Recording:
    """Return the recording in a file, or in the file `recording` of an output folder."""
    return read_packed(path, parse_recording, HINT)


def read_packed(path: Path, parse: Callable[[bytes], T], hint: str) -> T:
    """Return what the text in a file holds; UsageError says what is wrong with it.

    Of a folder, that is the file `recording` in there.
    """
    if path.is_dir():
        path = path / FILE_NAME
    try:
        with open_regular(path) as source:
            text = unpack(source)
        return parse(text)
    except OSError as error:  # BadGzipFile is one, with no strerror
        reason = error.strerror or "is not a recording"
    except (EOFError, zlib.error):
        reason = "is truncated or damaged"
    except ValueError as error:
        reason = str(error)
    raise UsageError(f"cannot read {str(path)!r}: {reason}", hint)


def find_newest(folder: Path) -> Path | None:
    """Return what was written last of the recordings in a folder and in folders of results there.

    Of these, some hold those of later runs, in folders with numbers.
    """
    found = []
    for pattern in _PATTERNS:
        for path in folder.glob(pattern):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime_ns, path))
    return max(found)[1] if found else None


def parse_recording(text: bytes) -> Recording:
    """Return the recording that JSON text holds; ValueError says what is wrong."""
    try:
        document: Json = json.loads(text, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("is not a recording: nested too deeply") from None
    except ValueError:
        raise ValueError("is not a recording: no valid JSON inside") from None
    _check_schema(document)
    try:
        recording = decode(Recording, document)
    except MismatchError as error:
        raise ValueError(f"is not a valid recording: {error}") from None
    for problem in _problems(recording):
        raise ValueError(f"is not a valid recording: {problem}")
    return recording


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file; a pipe or device would block or never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    source = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        source.close()
        raise ValueError("is not a regular file")
    return source


def unpack(source: BinaryIO) -> bytes:
    """Return what a file holds, up to a bound; ValueError where it is more."""
    chunks: list[bytes] = []
    unpacked_bytes = 0
    with gzip.GzipFile(fileobj=source, mode="rb") as packed:
        while chunk := packed.read(_CHUNK_BYTES):
            unpacked_bytes += len(chunk)
            if unpacked_bytes > UNPACKED_BYTES_MAX:
                raise ValueError(f"unpacks to more than {UNPACKED_BYTES_MAX} bytes")
            chunks.append(chunk)
    return b"".join(chunks)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_schema(document: Json) -> None:
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == LEAKS_SCHEMA:
        raise ValueError("holds what 'ebpf-prof leaks' recorded")
    if not isinstance(schema, str) or not schema.startswith("ebpf-prof/recording/"):
        raise ValueError("is not a recording: no schema of one")
    if schema != SCHEMA:
        raise ValueError(f"has the format {schema[:60]!r}, this ebpf-prof reads {SCHEMA!r}")


def _problems(recording: Recording) -> Iterator[str]:
    """Yield what no run writes, and what would crash or mislead the reports."""
    low, high = FREQUENCY_HZ
    if not low <= recording.frequency_hz <= high:
        yield f"frequency_hz: not within {low:g} to {high:g}"
    if recording.window.duration_ns <= 0:
        yield "window: ends before it starts"
    for name, index, length in _references(recording):
        if not 0 <= index < length:
            yield f"{name}: {index} is not below {length}"
    for name, quantity in _estimates(recording):
        if quantity < 0:
            yield f"{name}: is below zero"
    counted = [stack for operation in recording.operations or () for stack in operation.stacks]
    if len(counted) != len(set(counted)):
        yield "operations.stacks: one stack is in several"
    if problem := _time_line_problem(recording.time_line, recording.window):
        yield f"time_line: {problem}"
    for group in recording.lookups:
        for name in ("comparisons", "sort_calls", "duration_ns"):
            if problem := _distribution_problem(getattr(group, name)):
                yield f"lookups.{name}: {problem}"
    for waits in recording.off_cpu.groups if recording.off_cpu else ():
        if problem := _distribution_problem(waits.duration_ns):
            yield f"off_cpu.groups.duration_ns: {problem}"
    for name, distribution in task_distributions(recording.tasks) if recording.tasks else ():
        if problem := _distribution_problem(distribution):
            yield f"{name}: {problem}"


def _distribution_problem(distribution: Distribution) -> str | None:
    """Return what is wrong with it. Histograms rely on it: their rows are as many as powers of two.

    Without slots nothing was measured; the maximum is unknown then, and only then.
    """
    end = 0
    for low, high, count in distribution.slots:
        if not end <= low < high or count < 1:
            return "slots do not ascend from 0, or are empty"
        end = high
    if distribution.count != sum(count for _, _, count in distribution.slots):
        return "count is not the sum of the slots"
    if (distribution.max is None) != (not distribution.slots):
        return "max and slots are not both there"
    return None


def _time_line_problem(line: TimeLine, window: Window) -> str | None:
    """Return what is wrong with it; drawings rely on few intervals that have a length."""
    series = (line.cost_ns, line.verified, line.comparisons, line.queue_bytes, line.drops)
    sizes = [one.elements for one in line.containers]
    if max(len(line.ends_ns), len(sizes)) > TIME_LINE_MAX:
        return f"has more than {TIME_LINE_MAX} items"
    if len(line.verified) != len(line.comparisons):
        return "verified and comparisons are not as long"
    before_ns = (window.start_ns, *line.ends_ns)
    if any(end <= before for before, end in zip(before_ns, line.ends_ns, strict=False)):
        return "ends_ns do not ascend from the window's start"
    for numbers in (*series, line.lookups_hz, *sizes):
        if len(numbers) not in (0, len(line.ends_ns)):
            return "a series is not as long as ends_ns"
        if any(number is not None and number < 0 for number in numbers):
            return "a number is below zero"
    return None


def _references(recording: Recording) -> Iterator[tuple[str, int, int]]:
    """Yield (field, index, length of what it points into) for every index in a recording."""
    frame_count, stack_count = len(recording.frames), len(recording.stacks)
    container_count = len(recording.containers)
    for frame in recording.frames:
        if frame.file is not None:
            yield "frames.file", frame.file, len(recording.files)
    for stack in recording.stacks:
        yield "stacks.kernel_count", stack.kernel_count, len(stack.frames) + 1
        yield "stacks.left_out_at", stack.left_out_at, len(stack.frames) + 1
        for index in stack.frames:
            yield "stacks.frames", index, frame_count
    for thread in recording.threads:
        for index in thread.start:
            yield "threads.start", index, frame_count
    for sample in recording.samples:
        yield "samples.stack", sample.stack, stack_count
    for container in recording.containers:
        for function in (
            container.hash_function,
            container.sort_function,
            container.comparator,
        ):
            if function is not None:
                yield "containers functions", function, frame_count
    for group in recording.lookups:
        yield "lookups.container", group.container, container_count
        yield "lookups.call_site", group.call_site, len(recording.call_sites)
    for operation in recording.operations or ():
        yield "operations.call_site", operation.call_site, len(recording.call_sites)
        yield "operations.frame", operation.frame, frame_count
        for index in operation.stacks:
            yield "operations.stacks", index, stack_count
    for sizes in recording.time_line.containers:
        yield "time_line.containers", sizes.container, container_count
    yield from _wait_references(recording)
    if recording.tasks is not None:
        yield from task_references(recording.tasks, frame_count)
    for linked in recording.links.stacks if recording.links else ():
        yield "links.stacks.container", linked.container, container_count
        yield "links.stacks.stack", linked.stack, stack_count
    for weighted in recording.lookup_stacks:
        yield "lookup_stacks.stack", weighted.stack, stack_count
        yield "lookup_stacks.container", weighted.container, container_count


def _wait_references(recording: Recording) -> Iterator[tuple[str, int, int]]:
    off_cpu, stack_count = recording.off_cpu, len(recording.stacks)
    if off_cpu is None:
        return
    for group in off_cpu.groups:
        for index in (group.stack, group.waker_stack):
            if index is not None:
                yield "off_cpu.groups stacks", index, stack_count
        if group.lock is not None:
            yield "off_cpu.groups.lock", group.lock, len(off_cpu.locks)
    for wait in off_cpu.long_waits:
        for index in (wait.stack, wait.holder_stack):
            if index is not None:
                yield "off_cpu.long_waits stacks", index, stack_count
        if wait.lock is not None:
            yield "off_cpu.long_waits.lock", wait.lock, len(off_cpu.locks)


def _estimates(recording: Recording) -> Iterator[tuple[str, float]]:
    """Yield (field, value) for everything of which roots are taken, or that is a weight."""
    for group in recording.lookups:
        yield "lookups.estimated_total", group.estimated_total
        if group.estimated_variance is not None:
            yield "lookups.estimated_variance", group.estimated_variance
    for waits in recording.off_cpu.groups if recording.off_cpu else ():
        yield "off_cpu.groups.count", waits.count
        yield "off_cpu.groups.time_ns", waits.time_ns
    if recording.off_cpu is not None:
        yield "off_cpu.covered_ratio", recording.off_cpu.covered_ratio
    for weighted in recording.lookup_stacks:
        yield "lookup_stacks.lookups", weighted.lookups
        yield "lookup_stacks.comparisons", weighted.comparisons
    if recording.tasks is not None:
        yield from task_quantities(recording.tasks)
    if recording.links is not None:
        yield "links.covered_ns", recording.links.covered_ns
        for linked in recording.links.stacks:
            yield "links.stacks.links", linked.links
