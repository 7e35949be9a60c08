"""What frames, places and types of a recording of leaks are called. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from profiler.model.leaks import LeaksRecording, ObjectType, TypeNames
from profiler.model.recording import CallSite, Frame, Stack
from profiler.report.basics.frame_names import frame_names, frame_path

_ARGUMENT = "@"  # in names that were inferred from what a function was given: many share one
_CONTENT_MAX = 2
_MODULE = ".so"
# A function that ends with the call has jumped to it: then its caller seems to call. That is one
# line of it.
_LINES_MIN = 2

Code = tuple[int | None, int | None]  # a function: its file, and where it begins there


@dataclass(frozen=True, slots=True)
class Names:
    """What frames, sites and types are called, by index."""

    frames: tuple[str, ...]
    sites: tuple[str, ...]
    types: tuple[str, ...]
    called: Mapping[int, TypeNames]  # of types: what their objects are called


def names_of(recording: LeaksRecording) -> Names:
    """Return what everything in a recording is called."""
    frames = frame_names(recording)
    types = tuple(_type_name(recording, one, frames) for one in recording.types)
    contents = _contents(recording)
    shown = (
        _with_content(name, contents.get((frame.file, frame.function_offset)))
        for name, frame in zip(frames, recording.frames, strict=True)
    )
    called = {one.type: one for one in recording.names}
    return Names(tuple(shown), tuple(map(site_name, recording.sites)), types, called)


def _with_content(name: str, functions: Mapping[str, Collection[int]] | None) -> str:
    evident = [one for one, lines in (functions or {}).items() if len(lines) >= _LINES_MIN]
    return f"{name} ({', '.join(sorted(evident)[:_CONTENT_MAX])})" if evident else name


def _contents(recording: LeaksRecording) -> Mapping[Code, Mapping[str, Collection[int]]]:
    """Return of nameless code of modules from which functions and lines references change in it.

    The compiler may have put one function into another: so these are what is in it, not its name.
    """
    contents: dict[Code, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    calls = {
        (change.site, change.stack)
        for one in recording.objects
        for change in one.history
        if change.site is not None and change.stack is not None
    }
    for at, stack in calls:
        site, frame = recording.sites[at], _of_module(recording, recording.stacks[stack])
        is_source = frame is not None and _is_of(site, frame_path(recording, frame))
        if frame is not None and is_source and frame.symbol is None and site.line is not None:
            contents[frame.file, frame.function_offset][site.function].add(site.line)
    return contents


def _of_module(recording: LeaksRecording, stack: Stack) -> Frame | None:
    """Return the frame in a module that called Asterisk itself, where ao2 is."""
    for frame in (recording.frames[at] for at in stack.frames):
        if (frame_path(recording, frame) or "").endswith(_MODULE):
            return frame
    return None


def _is_of(site: CallSite, path: str | None) -> bool:
    """Return whether chan_sip.so is made of this source: chan_sip.c, or one in chan_sip/."""
    source = PurePosixPath(site.file or "")  # none is known of callers of __ao2_cleanup
    parts = (*source.parent.parts, source.stem)
    return path is not None and PurePosixPath(path).stem in parts


def _type_name(recording: LeaksRecording, one: ObjectType, frames: Sequence[str]) -> str:
    """Return the destructor's name, or who makes such objects where that tells nothing."""
    if one.destructor is None or _ARGUMENT in frames[one.destructor]:
        return f"objects of {recording.sites[one.site].function}"
    return frames[one.destructor]


def site_name(site: CallSite) -> str:
    """Return "file:line function"."""
    if site.file is None:
        return site.function
    line = "" if site.line is None else f":{site.line}"
    return f"{site.file}{line} {site.function}"
