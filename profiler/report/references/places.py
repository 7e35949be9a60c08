"""Which places belong together by where they stand in the code. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from profiler.model.leaks import LeaksRecording
from profiler.model.recording import CallSite


class Places:
    """Tells places apart by their functions; `makers` are who makes objects, by destructor."""

    def __init__(self, sites: Sequence[CallSite], makers: Mapping[str, str]) -> None:
        self._sites = sites
        self._makers = makers

    @classmethod
    def of(cls, recording: LeaksRecording, frames: Sequence[str]) -> Places:
        """Return those of a recording, of which `frames` are the names."""
        makers = {
            frames[one.destructor].lstrip("~"): recording.sites[one.site].function
            for one in recording.types
            if one.destructor is not None
        }
        return cls(recording.sites, makers)

    def function(self, place: int) -> object:
        """Return the function that a place is in; None for a birth."""
        return (self._sites[place].file, self._sites[place].function) if place >= 0 else None

    def maker(self, place: int) -> str | None:
        """Return the function itself, or who makes the objects that it destroys."""
        if place < 0:
            return None
        function = self._sites[place].function
        return self._makers.get(function, function)
