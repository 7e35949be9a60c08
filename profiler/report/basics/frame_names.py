"""What the frames of a recording are called. Pure."""

from __future__ import annotations

from typing import Protocol

from profiler.model.frame_names import frame_label
from profiler.model.recording import Frame, MappedFile


class HasFrames(Protocol):
    """A recording of any kind that has frames, and the files that they are in."""

    @property
    def files(self) -> tuple[MappedFile, ...]:
        """Files with code."""

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Code addresses."""


def frame_path(recording: HasFrames, frame: Frame) -> str | None:
    """Return the path of the file that a frame is in, None where it is in none."""
    return None if frame.file is None else recording.files[frame.file].path


def frame_name(recording: HasFrames, frame: Frame) -> str:
    """Return the name of a frame; never empty."""
    return frame_label(frame, frame_path(recording, frame))


def frame_names(recording: HasFrames) -> tuple[str, ...]:
    """Return the name of each frame, in order."""
    return tuple(frame_name(recording, frame) for frame in recording.frames)
