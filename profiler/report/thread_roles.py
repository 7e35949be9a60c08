"""What a thread does, by the function that it was started with. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from profiler.model.recording import Frame, Recording, Stack
from profiler.report.frame_names import file_name, frame_name

# Where every thread begins: the C library, Asterisk's wrapper (main/utils.c, dummy_start) and those
# of other libraries, known by their role (thread_main of pjlib's os_core_unix.c).
_COMMON_STARTS = frozenset(
    ("_start", "__libc_start_main", "__libc_start_call_main", "clone", "__clone", "clone3")
    + ("__clone3", "start_thread", "dummy_start", "generic_start_main", "start_routine")
)
# So many samples, and so large a share of them, say what threads do better than their start. The
# others were taken before that begins, or behind it.
_LEAST_SAMPLES, _MOSTLY = 10, 0.9
_C_LIBRARIES = ("libc.so", "libc-2", "libpthread", "ld-linux", "ld-musl", "ld-2")


class Role(NamedTuple):
    """What threads run: "do_monitor (chan_sip.so)"; without a name "asterisk+0x19f380"."""

    name: str
    is_named: bool


def thread_roles(recording: Recording) -> dict[int, Role]:
    """Return what each thread runs by tid, where that is known.

    All threads that were started with the same have one role, sampled or not.
    """
    own = own_frames(recording)
    sampled = _sampled_roles(recording, own)
    roles = {tid: found.most_common(1)[0][0] for tid, found in sampled.items()}
    started = _started_with(recording, own)
    seen: dict[Role, Counter[Role]] = defaultdict(Counter)
    for tid, start in started.items():
        seen[start] += sampled.get(tid, Counter())
    return roles | {tid: _role_of_start(start, seen[start]) for tid, start in started.items()}


def _sampled_roles(recording: Recording, own: tuple[bool, ...]) -> dict[int, Counter[Role]]:
    """Return, by tid, in how many samples a thread ran what."""
    starts = [_start_frame(stack, own) for stack in recording.stacks]
    found: dict[int, Counter[Role]] = defaultdict(Counter)
    counts = Counter((sample.tid, sample.stack) for sample in recording.samples)
    for (tid, stack), count in counts.items():
        start = starts[stack]
        if start is not None:
            found[tid][_role(recording, start)] += count
    return found


def _started_with(recording: Recording, own: tuple[bool, ...]) -> dict[int, Role]:
    """Return, by tid, what threads were started with."""
    starts = {
        use.tid: next((index for index in use.start if own[index]), None)
        for use in recording.threads
    }
    return {tid: _role(recording, index) for tid, index in starts.items() if index is not None}


def _role_of_start(start: Role, sampled: Counter[Role]) -> Role:
    """Return the role of all threads with one start, of which so many samples were found.

    A start routine may have jumped to what it is for, and left the stack: Asterisk's
    handle_tcptls_connection() does, in builds by gcc, to the server of HTTP or of AMI.
    """
    if sampled.total() < _LEAST_SAMPLES:
        return start
    role, count = sampled.most_common(1)[0]
    return role if count >= _MOSTLY * sampled.total() else start


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


def _role(recording: Recording, index: int) -> Role:
    frame = recording.frames[index]
    name = frame_name(recording, frame)
    if frame.symbol is None or frame.file is None:
        return Role(name, frame.symbol is not None)
    path = file_name(recording.files[frame.file].path)
    return Role(name if not path.endswith(".so") else f"{name} ({path})", True)
