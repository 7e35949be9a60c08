"""Shows what differs between two recordings, or writes it into one file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from profiler.cli.destination import Destination, opened
from profiler.cli.reports import read_renamed
from profiler.cli.streams import say, write_out
from profiler.errors import UsageError
from profiler.model.profile import Profile
from profiler.renderers.exports import difference_json
from profiler.renderers.graphs import difference_graph
from profiler.renderers.page import difference_html
from profiler.renderers.terminal import difference_text
from profiler.report.aggregate import aggregate
from profiler.report.difference import diff


def show(before: Path, after: Path, destination: Destination | None, as_json: bool) -> None:
    """Print what changed between two recordings, or write it as the file's name says."""
    if destination is not None and destination.format not in _WRITERS:
        known = ", ".join(f"FILE.{name}" for name in _WRITERS)
        raise UsageError(f"cannot write a difference into {str(destination.path)!r}", f"-o {known}")
    profiles = aggregate(read_renamed(before)), aggregate(read_renamed(after))
    if destination is None:
        render = difference_json.render if as_json else difference_text.render
        write_out(render, diff(*profiles))
    else:
        _write(profiles, destination)


def _write(profiles: tuple[Profile, Profile], destination: Destination) -> None:
    assert destination.path is not None and destination.format is not None
    with opened(destination) as folder:
        assert folder is not None
        with folder.text(destination.path.name) as out:
            _WRITERS[destination.format](*profiles, out)
    say(sys.stderr, f"difference: {destination.path}")


def _write_json(before: Profile, after: Profile, out: TextIO) -> None:
    difference_json.render(diff(before, after), out)


def _write_page(before: Profile, after: Profile, out: TextIO) -> None:
    graph = difference_graph.difference_graph(before, after)
    difference_html.render(diff(before, after), graph, out)


_WRITERS: Mapping[str, Callable[[Profile, Profile, TextIO], None]] = MappingProxyType(
    {"svg": difference_graph.render, "html": _write_page, "json": _write_json}
)
