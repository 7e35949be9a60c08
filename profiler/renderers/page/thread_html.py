"""The part of report.html on threads and sockets."""

from __future__ import annotations

from profiler.model.profile import Profile, ThreadGroup
from profiler.renderers.page.anchors import slug, thread_anchor
from profiler.renderers.page.links import thread_links
from profiler.renderers.page.markup import element
from profiler.renderers.page.sections import Section, section
from profiler.renderers.page.tables import Cell, Column, Row, lines, share, table
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import LABEL_MAX, children_label, clip, idle_sockets

_THREADS = (Column("Thread"), Column("CPU", "bar"), Column("Waiting"), Column("Samples"))
_SOCKETS = (Column("Socket"), Column("Longest queue"), Column("Mean queue"), Column("Drops"))


def threads(profile: Profile) -> Section:
    """Return the table of threads and thread groups, each with its heaviest paths."""
    groups = profile.thread_groups
    explanation = (
        "CPU time over the window; waiting means ready to run, but not on a CPU, each of several "
        "threads on average. Below a thread: "
        "its heaviest paths, as shares of its samples. a > b: a calls b, perhaps through others."
    )
    if any(group.waiting_ratio is None for group in groups):
        explanation += f" {numbers.UNKNOWN}: not known."
    said = children_label(profile)
    return section(
        "Hot threads",
        element("p", explanation, kind="faint"),
        table(_THREADS, [_thread(profile, group) for group in groups]),
        element("p", said) if said else "",
        is_open=True,
    )


def _thread(profile: Profile, group: ThreadGroup) -> Row:
    which = f"{group.count:,} threads" if group.is_many else f"tid {group.tids[0]}"
    paths = (
        f"{numbers.percent(path.ratio)}  {clip(path.label, LABEL_MAX)}" for path in group.paths
    )
    cells = (
        lines(clip(group.title, LABEL_MAX), f"{clip(group.name, LABEL_MAX)}, {which}", *paths),
        share(group.cpu_ratio),
        lines(numbers.percent_cell(group.waiting_ratio)),
        lines(f"{group.samples:,}"),
    )
    return Row(thread_anchor(group), cells, thread_links(profile, group))


def sockets(profile: Profile) -> Section | None:
    """Return the table of UDP sockets that had something in their queue."""
    if not profile.sockets:
        return None
    rows = [
        Row(
            slug("socket", socket.local),
            (
                lines(clip(socket.local, LABEL_MAX)),
                lines(numbers.size(socket.receive_queue_bytes_max)),
                lines(numbers.size(socket.receive_queue_bytes_mean)),
                Cell((f"{socket.drops:,}",), kind="bad" if socket.drops else ""),
            ),
        )
        for socket in profile.sockets
        if not socket.is_idle
    ]
    explanation = "A queue that stays full, or drops: the process cannot keep up."
    return section(
        "UDP sockets",
        element("p", f"{explanation} {idle_sockets(profile)}".rstrip(), kind="faint"),
        table(_SOCKETS, rows) if rows else "",
    )
