"""What several outputs draw from one profile is made once, and shared by them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from profiler.model.profile import Profile

T = TypeVar("T")


def shared(make: Callable[[Profile], T]) -> Callable[[Profile], T]:
    """Return `make`, which gives its last result again when it is asked for the same profile."""
    last: tuple[Profile, T] | None = None

    @wraps(make)
    def made(profile: Profile) -> T:
        nonlocal last
        if last is None or last[0] is not profile:
            last = profile, make(profile)
        return last[1]

    return made
