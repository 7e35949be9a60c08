"""The source places that container operations were called from, each once, with their indexes.

Windows read the places from the arguments of the calls, samples from the code around them: both are
the same constants, so that what is called alike is one place.
"""

from __future__ import annotations

from profiler.asterisk.container_calls import SourcePlace
from profiler.model import recording as rec
from profiler.model.observed import ObservedLookups
from profiler.names.session import NamingSession
from profiler.wire.lookups import GroupKey


class CallSites:
    """Indexes of call sites, made as they are needed."""

    def __init__(self, names: NamingSession, lookups: ObservedLookups | None) -> None:
        """Begin with the places of measured lookups; calls without a place are named by `names`."""
        self._names = names
        self._texts = lookups.texts if lookups is not None else {}
        self._sites: dict[rec.CallSite, int] = {}
        self._by_line: dict[tuple[str, int], rec.CallSite] = {}
        for key in lookups.groups if lookups is not None else ():
            self.index(self.of_key(key))

    @property
    def sites(self) -> tuple[rec.CallSite, ...]:
        """All of them, by index."""
        return tuple(self._sites)

    def index(self, site: rec.CallSite) -> int:
        """Return the index of a call site."""
        if site.file is not None and site.line is not None:
            self._by_line.setdefault((site.file, site.line), site)
        return self._sites.setdefault(site, len(self._sites))

    def of_key(self, key: GroupKey) -> rec.CallSite:
        """Return the place that a measured lookup was called from."""
        if not key.file:
            return self.of_caller(key.function)
        function = self._texts.get(key.function) or f"{key.function:#x}"
        return rec.CallSite(self._texts.get(key.file), key.line, function)

    def of_caller(self, return_address: int) -> rec.CallSite:
        """Return the place of a call of which nothing but its return address is known."""
        return rec.CallSite(None, None, self._caller(return_address - 1))

    def of_call(self, address: int, place: SourcePlace) -> rec.CallSite:
        """Return the place of the call around an address, by what the code there shows."""
        if place.file is not None and place.line is not None:
            known = self._by_line.get((place.file, place.line))
            if known is not None and place.function in (None, known.function):
                return known
        function = place.function or self._caller(address)
        return rec.CallSite(place.file, place.line if place.file else None, function)

    def _caller(self, address: int) -> str:
        """Return the name of the function that holds an address, else where it begins in its file.

        Asterisk 13 passes no place: of its lookups the return address is known.
        """
        (frame,) = self._names.frames((address,))
        if frame.symbol:
            return frame.symbol
        path = self._names.path(address)
        if path is None or frame.offset is None:
            return f"{address:#x}"
        start = frame.offset if frame.function_offset is None else frame.function_offset
        return f"{path.rpartition('/')[2]}+{start:#x}"
