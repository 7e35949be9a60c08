"""Folded stacks: `thread;root;...;leaf weight`, one line per distinct stack, heaviest first.

Kernel frames end in `_[k]`. A `;` in a name is written `\\x3b`; line breaks cannot occur.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TextIO

from profiler.model.profile import Profile
from profiler.renderers.graphs.lanes import Lane, comparison_lanes, sample_lanes
from profiler.renderers.graphs.wait_graph import wait_kind, wait_lanes
from profiler.renderers.words.labels import KEPT_MAX


def render(profile: Profile, out: TextIO) -> None:
    """Write the samples: lanes are threads, weights are samples."""
    _write(sample_lanes(profile), out)


def render_comparisons(profile: Profile, out: TextIO) -> None:
    """Write the lookups: lanes are containers, weights are comparisons."""
    _write(comparison_lanes(profile), out)


def render_off_cpu(profile: Profile, out: TextIO) -> None:
    """Write the waits: lanes are roles, weights are us; who waits for work comes last."""
    _write(wait_lanes(profile, is_idle=False, last_frame=wait_kind), out)
    _write(wait_lanes(profile, is_idle=True, last_frame=wait_kind), out)


def _write(lanes: Iterable[Lane], out: TextIO) -> None:
    for lane in lanes:
        for frames, weight in lane.stacks:
            names = map(_escape, ((lane.label, "lane"), *frames))
            out.write(f"{';'.join(names)} {weight}\n")


@lru_cache(maxsize=KEPT_MAX)
def _escape(frame: tuple[str, str]) -> str:
    label, kind = frame
    return label.replace(";", "\\x3b") + ("_[k]" if kind in ("kernel", "probe") else "")
