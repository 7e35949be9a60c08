"""Containers that grow while objects are followed, on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from profiler.model.leaks import ElementType, GrowingContainer, LinkPlace
from profiler.renderers.words.leaks import called_by, common_names, name, some
from profiler.renderers.words.lines import Line, heading, wrapped

_CONTAINERS_MAX = 3
_PLACES_MAX = 2
_TYPES_MAX = 3
_INDENT = "      "


def containers(growing: Sequence[GrowingContainer], ranks: Mapping[str, int]) -> list[Line]:
    """Return the section on containers, if any grows; `ranks`: of suspects by their names."""
    if not growing:
        return []
    lines = heading("CONTAINERS", "that grow to the end as they did before")
    for one in growing[:_CONTAINERS_MAX]:
        lines += wrapped("  ", _title(one), "bad")
        for text in _about(one, ranks):
            lines += wrapped(_INDENT, text)
    if len(growing) > _CONTAINERS_MAX:
        left_out = f"{len(growing) - _CONTAINERS_MAX:,} more: see --json"
        lines += wrapped("  ", left_out, "dim")
    return lines


def _title(one: GrowingContainer) -> str:
    sizes = f"{one.elements_start:,} to {one.elements_end:,} elements"
    return f"{name(one.name)}: {sizes}, {one.per_minute:,.0f} more a minute"


def _about(one: GrowingContainer, ranks: Mapping[str, int]) -> Iterator[str]:
    yield _places("linked", one.linked_at)
    yield called_by(_callers(one))
    yield _places("unlinked", one.unlinked_at)
    if not one.linked:
        yield "none of its elements was followed from birth"
        return
    text = f"of {one.linked:,} elements followed from birth {one.kept:,} were never unlinked"
    yield f"{text}, {one.unknown:,} not known" if one.unknown else text
    types = (_type(element, ranks) for element in one.elements)
    if one.elements:
        yield f"these are {'; '.join(some(types, _TYPES_MAX))}"
    for element in one.elements[:_TYPES_MAX]:
        names = common_names(element.names, element.names_read)
        yield f"{name(element.name)}: {names}" if names else ""


def _callers(one: GrowingContainer) -> Sequence[str]:
    """Return who called the function that links, which the place names already."""
    functions = {place.site.rpartition(" ")[2] for place in one.linked_at}
    is_named = bool(one.stack) and one.stack[0].lstrip("~") in functions
    return one.stack[is_named:]


def _places(what: str, places: Iterable[LinkPlace]) -> str:
    shown = [f"{name(place.site)} ({place.count:,} seen)" for place in places]
    if not shown:
        return f"no element was seen to be {what}"
    return f"{what} at {'; '.join(some(shown, _PLACES_MAX))}"


def _type(element: ElementType, ranks: Mapping[str, int]) -> str:
    text = f"{element.count:,} of {name(element.name)}"
    rank = None if element.suspect is None else ranks.get(element.suspect)
    return text if rank is None else f"{text}, of suspect {rank}"
