"""How much of the samples nothing names, and the files that it is in. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from profiler.model.profile import UnnamedFile
from profiler.model.recording import Frame, Recording


def unnamed_ratio(recording: Recording) -> float | None:
    """Return the share of user frames in samples that nothing names."""
    total = unnamed = 0
    for frames, samples in _user_frames(recording):
        total += samples * len(frames)
        unnamed += samples * sum(frame.symbol is None for frame in frames)
    return unnamed / total if total else None


def unnamed_files(recording: Recording) -> tuple[UnnamedFile, ...]:
    """Return the files in which frames have no name, those in most samples first."""
    samples_of: Counter[int] = Counter()
    for frames, samples in _user_frames(recording):
        files = {frame.file for frame in frames if frame.symbol is None and frame.file is not None}
        samples_of.update(dict.fromkeys(files, samples))
    found = (
        UnnamedFile(
            recording.files[number].path,
            recording.files[number].build_id,
            samples / len(recording.samples),
        )
        for number, samples in samples_of.items()
    )
    return tuple(sorted(found, key=lambda file: (-file.ratio, file.path)))


def _user_frames(recording: Recording) -> Iterator[tuple[list[Frame], int]]:
    """Yield the user's frames of each stack, and how many samples have it."""
    for stack, samples in Counter(sample.stack for sample in recording.samples).items():
        sampled = recording.stacks[stack]
        yield [recording.frames[at] for at in sampled.frames[sampled.kernel_count :]], samples
