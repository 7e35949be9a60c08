"""The largest of many things: a bound for what is compared with each other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import TypeVar

T = TypeVar("T")


def most(found: Iterable[T], count: int, size: Callable[[T], int]) -> list[T]:
    """Return the largest so many, in the order in which they were found."""
    ranked = nsmallest(count, enumerate(found), key=lambda one: (-size(one[1]), one[0]))
    return [one for _, one in sorted(ranked, key=lambda one: one[0])]
