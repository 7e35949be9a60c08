"""What a thread does, by the function that it was started with. Pure."""

from __future__ import annotations

from collections import Counter

from profiler.model.recording import Recording
from profiler.report.frame_names import file_name, frame_name

# Where every thread begins: the C library, and Asterisk's wrapper (main/utils.c, dummy_start).
_COMMON_STARTS = frozenset(
    ("_start", "__libc_start_main", "__libc_start_call_main", "clone", "__clone", "clone3")
    + ("__clone3", "start_thread", "dummy_start", "generic_start_main")
)
_C_LIBRARIES = ("libc.so", "libc-2", "libpthread", "ld-linux", "ld-musl", "ld-2")


def thread_roles(recording: Recording) -> dict[int, str]:
    """Return what each sampled thread runs, e.g. "do_monitor (chan_sip.so)", by tid."""
    seen: dict[int, Counter[int]] = {}
    for sample in recording.samples:
        if recording.stacks[sample.stack].cause is None:
            start = _start_frame(recording, sample.stack)
            if start is not None:
                seen.setdefault(sample.tid, Counter())[start] += 1
    return {tid: _role(recording, starts.most_common(1)[0][0]) for tid, starts in seen.items()}


def _start_frame(recording: Recording, stack: int) -> int | None:
    found = recording.stacks[stack]
    for index in reversed(found.frames[found.kernel_count :]):
        frame = recording.frames[index]
        path = recording.files[frame.file].path if frame.file is not None else ""
        if file_name(path).startswith(_C_LIBRARIES):
            continue
        name = (frame.symbol or "").lstrip("~").partition("@")[0]
        if name not in _COMMON_STARTS:
            return index
    return None


def _role(recording: Recording, index: int) -> str:
    frame = recording.frames[index]
    name = frame_name(recording, frame)
    if frame.symbol is None or frame.file is None:
        return name
    path = file_name(recording.files[frame.file].path)
    return name if not path.endswith(".so") else f"{name} ({path})"
