"""The files that a run writes, what can be asked for alone, and what renders each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import BinaryIO, TextIO

from profiler.model.profile import Profile
from profiler.renderers.exports import folded, json, pprof, speedscope
from profiler.renderers.graphs import flamegraph, wait_graph
from profiler.renderers.page import html

OUTPUTS: Mapping[str, Callable[[Profile, TextIO], None]] = MappingProxyType(
    {
        "profile.json": json.render,
        "cpu.folded": folded.render,
        "comparisons.folded": folded.render_comparisons,
        "offcpu.folded": folded.render_off_cpu,
        "cpu.svg": flamegraph.render,
        "comparisons.svg": flamegraph.render_comparisons,
        "offcpu.svg": wait_graph.render,
        "profile.speedscope.json": speedscope.render,
        "report.html": html.render,
    }
)
# What -f calls them; the first are text.
TEXT_FORMATS: Mapping[str, Callable[[Profile, TextIO], None]] = MappingProxyType(
    {
        "html": html.render,
        "svg": flamegraph.render,
        "json": json.render,
        "folded": folded.render,
        "speedscope": speedscope.render,
    }
)
BINARY_FORMATS: Mapping[str, Callable[[Profile, BinaryIO], None]] = MappingProxyType(
    {"pprof": pprof.render}
)
