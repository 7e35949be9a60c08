"""Groups of lookups that were counted and never measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from profiler.model.observed import CountingWindow
from profiler.wire.lookups import Group, GroupKey, Place, Verdict

NOTHING_MEASURED = Group(0, 0, (0,) * len(Verdict), *(0,) * 10)
_INNER = (Place.CALLBACK, Place.CALLBACK_DATA)  # what others may call for the same lookup


def without_inner(windows: Sequence[CountingWindow]) -> tuple[CountingWindow, ...]:
    """Return windows without what is no lookup of its own.

    Builds exist whose entry functions call each other: then only the outer one counts. Without a
    container an entry function returns at once.
    """
    met = {group.key for window in windows for group in window.groups}
    outer = {_place(key) for key in met if key.entry not in _INNER}

    def counts(key: GroupKey) -> bool:
        is_inner = key.entry in _INNER and _place(key) in outer
        return bool(key.container) and not is_inner

    return tuple(
        replace(window, groups=tuple(group for group in window.groups if counts(group.key)))
        for window in windows
    )


def counted_groups(
    groups: Mapping[GroupKey, Group], windows: Sequence[CountingWindow]
) -> dict[GroupKey, Group]:
    """Return the groups that windows counted beside those that were measured."""
    known = {replace(key, buckets=0) for key in groups}
    met = {group.key for window in windows for group in window.groups}
    return dict.fromkeys(met - known, NOTHING_MEASURED)


def _place(key: GroupKey) -> tuple[int, int, int, int]:
    return key.container, key.file, key.line, key.function
