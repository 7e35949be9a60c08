"""Shows what was recorded of objects, as text or for programs."""

from __future__ import annotations

from profiler.cli.streams import write_out
from profiler.model.leaks import LeaksRecording
from profiler.renderers.exports import leaks_json
from profiler.renderers.terminal import leaks_text
from profiler.report.leaks.leaks_profile import leaks_profile


def show(recording: LeaksRecording, as_json: bool) -> None:
    """Print who leaks."""
    write_out((leaks_json if as_json else leaks_text).render, leaks_profile(recording))
