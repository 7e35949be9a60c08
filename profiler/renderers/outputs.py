"""The files that a run writes, and what renders each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TextIO

from profiler.model.profile import Profile
from profiler.renderers import flamegraph, folded, html, json, speedscope

OUTPUTS: Mapping[str, Callable[[Profile, TextIO], None]] = MappingProxyType(
    {
        "profile.json": json.render,
        "cpu.folded": folded.render,
        "comparisons.folded": folded.render_comparisons,
        "cpu.svg": flamegraph.render,
        "comparisons.svg": flamegraph.render_comparisons,
        "profile.speedscope.json": speedscope.render,
        "report.html": html.render,
    }
)
