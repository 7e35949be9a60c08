"""What the frames of a recording are called. Pure.

A name as it is in a symbol table, one that was inferred with its leading `~`, else the file and
where the function begins: `asterisk+0x6db40`, which is the same in every run of the same build.
"""

from __future__ import annotations

from pathlib import PurePath

from profiler.model.recording import Frame, Recording

_MAX_NAME = 512  # characters; what the target calls its functions is not ours to trust


def file_name(path: str) -> str:
    """Return the last part of a path of the target."""
    return PurePath(path).name or path


def frame_name(recording: Recording, frame: Frame) -> str:
    """Return the name of a frame; never empty."""
    if frame.symbol:
        return frame.symbol[:_MAX_NAME]
    if frame.file is None:
        return f"[unknown {frame.address:#x}]"
    name = file_name(recording.files[frame.file].path)[:_MAX_NAME]
    place = frame.function_offset if frame.function_offset is not None else frame.offset
    return name if place is None else f"{name}+{place:#x}"


def frame_names(recording: Recording) -> tuple[str, ...]:
    """Return the name of each frame, in order."""
    return tuple(frame_name(recording, frame) for frame in recording.frames)
