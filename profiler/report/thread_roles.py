"""What a thread does, by the function that it was started with. Pure."""

from __future__ import annotations

from collections import Counter

from profiler.model.recording import Frame, Recording, Stack
from profiler.report.frame_names import file_name, frame_name

# Where every thread begins: the C library, Asterisk's wrapper (main/utils.c, dummy_start) and those
# of other libraries, known by their role (thread_main of pjlib's os_core_unix.c).
_COMMON_STARTS = frozenset(
    ("_start", "__libc_start_main", "__libc_start_call_main", "clone", "__clone", "clone3")
    + ("__clone3", "start_thread", "dummy_start", "generic_start_main", "start_routine")
)
_C_LIBRARIES = ("libc.so", "libc-2", "libpthread", "ld-linux", "ld-musl", "ld-2")


def thread_roles(recording: Recording) -> dict[int, str]:
    """Return what each sampled thread runs, e.g. "do_monitor (chan_sip.so)", by tid."""
    own = own_frames(recording)
    starts = [_start_frame(stack, own) for stack in recording.stacks]
    seen: dict[int, Counter[int]] = {}
    counts = Counter((sample.tid, sample.stack) for sample in recording.samples)
    for (tid, stack), count in counts.items():
        start = starts[stack]
        if start is not None:
            seen.setdefault(tid, Counter())[start] += count
    return {tid: _role(recording, found.most_common(1)[0][0]) for tid, found in seen.items()}


def own_frames(recording: Recording) -> tuple[bool, ...]:
    """Return whether each frame is the target's own: not the C library's, no wrapper of a start."""
    in_c_library = tuple(file_name(file.path).startswith(_C_LIBRARIES) for file in recording.files)
    return tuple(_is_own(frame, in_c_library) for frame in recording.frames)


def _is_own(frame: Frame, in_c_library: tuple[bool, ...]) -> bool:
    """Return whether a frame says more than that a thread begins."""
    if frame.file is not None and in_c_library[frame.file]:
        return False
    return (frame.symbol or "").lstrip("~").partition("@")[0] not in _COMMON_STARTS


def _start_frame(stack: Stack, own: tuple[bool, ...]) -> int | None:
    """Return the outermost frame of its own that a whole stack has."""
    if stack.cause is not None:
        return None
    user = stack.frames[stack.kernel_count :]
    return next((index for index in reversed(user) if own[index]), None)


def _role(recording: Recording, index: int) -> str:
    frame = recording.frames[index]
    name = frame_name(recording, frame)
    if frame.symbol is None or frame.file is None:
        return name
    path = file_name(recording.files[frame.file].path)
    return name if not path.endswith(".so") else f"{name} ({path})"
