"""Names from the target in reports of leaks, few and short."""

from __future__ import annotations

from collections.abc import Iterable

from profiler.model.leaks import NameCount
from profiler.renderers.words.labels import clip

_NAME_MAX = 80
_FRAMES_MAX = 8
_NAMES_MAX = 3


def name(text: str) -> str:
    """Return a name that may be hostile, and long."""
    return clip(text, _NAME_MAX)


def some(texts: Iterable[str], at_most: int) -> list[str]:
    """Return the first ones, and how many more there are."""
    listed = [name(text) for text in texts]
    left_out = len(listed) - at_most
    return [*listed[:at_most], f"{left_out:,} more"] if left_out > 0 else listed


def common_names(names: Iterable[NameCount], read: int) -> str:
    """Return what names objects have; "" if nothing is known that these have in common."""
    shown = some((f"{one.name} ({one.count:,} of {read:,})" for one in names), _NAMES_MAX)
    return f"names: {', '.join(shown)}" if shown else ""


def called_by(frames: Iterable[str]) -> str:
    """Return who called, the nearest caller first; "" if it is not known."""
    shown = some(frames, _FRAMES_MAX)
    return f"called by {' <- '.join(shown)}" if shown else ""
