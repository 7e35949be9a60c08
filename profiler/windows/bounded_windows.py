"""Windows of which only begin and length matter, in bounded room. Pure."""

from __future__ import annotations

from profiler.model.quantities import Window

MAX_WINDOWS = 1_000


def bounded(windows: list[Window], most: int = MAX_WINDOWS) -> list[Window]:
    """Return them, or half as many if they are too many.

    Then each stands for two neighbours: it starts with the first, and is as long as both.
    """
    if len(windows) <= most:
        return windows
    pairs = zip(windows[::2], windows[1::2], strict=False)
    halved = [
        Window(one.start_ns, one.start_ns + one.duration_ns + other.duration_ns)
        for one, other in pairs
    ]
    return halved + windows[len(windows) // 2 * 2 :]
