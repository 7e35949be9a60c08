"""What a thread does, by the function that it was started with. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from profiler.model.frame_names import role_label, says_role
from profiler.model.recording import Recording, Stack
from profiler.report.basics.frame_names import frame_path

# So many samples, and so large a share of them, say what threads do better than their start. The
# others were taken before that begins, or behind it.
_LEAST_SAMPLES, _MOSTLY = 10, 0.9


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
    return tuple(says_role(frame, frame_path(recording, frame)) for frame in recording.frames)


def _start_frame(stack: Stack, own: tuple[bool, ...]) -> int | None:
    """Return the outermost frame of its own that a whole stack has."""
    if stack.cause is not None:
        return None
    user = stack.frames[stack.kernel_count :]
    return next((index for index in reversed(user) if own[index]), None)


def _role(recording: Recording, index: int) -> Role:
    frame = recording.frames[index]
    label = role_label(frame, frame_path(recording, frame))
    return Role(label, frame.symbol is not None)
