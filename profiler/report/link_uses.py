"""Who links into containers that grow, by what the functions are called. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from profiler.model.links import LinkProfile, Links, LinkUse
from profiler.model.recording import Stack, Window

CALLERS_MAX = 8  # nearest first; stacks that differ behind them are one


def link_profile(
    links: Links,
    window: Window,
    stacks: Sequence[Stack],
    names: Sequence[str],
    position: Mapping[int, int],
) -> LinkProfile:
    """Return links with names; `position`: of the recording's containers in the profile."""
    counts: Counter[tuple[int, tuple[str, ...]]] = Counter()
    for one in links.stacks:
        frames = stacks[one.stack].frames
        if one.container in position and frames:
            callers = tuple(names[frame] for frame in frames[:CALLERS_MAX])
            counts[position[one.container], callers] += one.links
    uses = (LinkUse(container, callers, count) for (container, callers), count in counts.items())
    return LinkProfile(
        uses=tuple(sorted(uses, key=lambda use: (-use.links, use.container, use.callers))),
        covered_ratio=min(links.covered_ns / window.duration_ns, 1.0),
        accounting=links.accounting,
    )
