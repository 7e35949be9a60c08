"""What the frames of a recording are called. Pure."""

from __future__ import annotations

from profiler.model.frame_names import frame_label
from profiler.model.recording import Frame, Recording


def frame_path(recording: Recording, frame: Frame) -> str | None:
    """Return the path of the file that a frame is in, None where it is in none."""
    return None if frame.file is None else recording.files[frame.file].path


def frame_name(recording: Recording, frame: Frame) -> str:
    """Return the name of a frame; never empty."""
    return frame_label(frame, frame_path(recording, frame))


def frame_names(recording: Recording) -> tuple[str, ...]:
    """Return the name of each frame, in order."""
    return tuple(frame_name(recording, frame) for frame in recording.frames)
