"""Names that links on the page go to: the same in every page that is made of a recording."""

from __future__ import annotations

import re
from zlib import crc32

from profiler.model.profile import ContainerUse, OperationUse, ThreadGroup
from profiler.renderers.words.labels import call_site_label

CPU_GRAPH = "cpu-graph"
COMPARISONS_GRAPH = "comparisons-graph"
OFF_CPU_GRAPH = "off-cpu-graph"

_LENGTH_MAX = 80


def slug(*words: str) -> str:
    """Return words as one name that needs no escaping anywhere, whatever they hold.

    Where something had to be left out, their checksum tells it from the name of others.
    """
    plain = "-".join(words)
    name = re.sub(r"[^a-z0-9_.]+", "-", plain.lower()[:_LENGTH_MAX]).strip("-")
    is_whole = plain.isascii() and len(plain) <= _LENGTH_MAX
    return (
        name
        if is_whole
        else f"{name[: _LENGTH_MAX - 9]}-{crc32(plain.encode(errors='backslashreplace')):08x}"
    )


def thread_anchor(group: ThreadGroup) -> str:
    """Return the name of a thread's row, or of a group's."""
    return f"thread-{group.tids[0]}"


def container_anchor(container: ContainerUse) -> str:
    """Return the name of a container's row."""
    return f"container-{container.address:x}"


def call_site_anchor(container: ContainerUse, number: int) -> str:
    """Return the name of the row of one of its call sites."""
    return f"site-{container.address:x}-{number}"


def operation_anchor(use: OperationUse) -> str:
    """Return the name of an operation's row."""
    return slug("operation", use.name, call_site_label(use))


def task_anchor(name: str) -> str:
    """Return the name of the row of task processors of one name."""
    return slug("tasks", name)
