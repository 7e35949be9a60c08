"""Calls of certain functions in one file, with their constant arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from profiler.binary.call_arguments import Call, calls
from profiler.binary.code_image import CodeImage
from profiler.binary.references import CodeReferences

MAX_REFERRING = 16  # functions that are searched for what they do with one address


class KnownCalls:
    """Calls of the functions in `wanted`; each function of the file is read at most once."""

    def __init__(
        self, image: CodeImage, references: CodeReferences, wanted: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Look for calls of `wanted`: the positions of the arguments that are of interest."""
        self._image = image
        self._references = references
        self._wanted = {name: at for name, at in wanted.items() if references.uses(name)}
        self._found: dict[int, tuple[Call, ...]] = {}

    def of(self, name: str) -> Iterator[Call]:
        """Yield all calls of one function."""
        for start in sorted(s for s, names in self._callers.items() if name in names):
            yield from (call for call in self._inside(start) if call.callee == name)

    def near(self, address: int) -> Iterator[tuple[int, Call]]:
        """Yield (function, call) of the calls in functions whose code refers to the address."""
        places = self._references.to(address)[:MAX_REFERRING] if self._callers else ()
        functions = (self._image.function(place) for place in places)
        for user in sorted({function.start for function in functions if function is not None}):
            yield from ((user, call) for call in self._inside(user))

    def _inside(self, start: int) -> tuple[Call, ...]:
        if start not in self._found:
            function = self._image.function(start) if start in self._callers else None
            code = self._image.decode(function) if function is not None else None
            found = calls(code or (), self._references.callee, self._positions, strict=True)
            self._found[start] = tuple(call for call in found if call.callee in self._wanted)
        return self._found[start]

    def _positions(self, callee: str) -> tuple[int, ...]:
        return self._wanted.get(callee, ())

    @cached_property
    def _callers(self) -> dict[int, set[str]]:
        return self._references.callers(self._wanted) if self._wanted else {}
