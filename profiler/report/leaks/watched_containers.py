"""What containers are called into which followed objects were linked. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from profiler.model.leaks import LeaksRecording, LinkCount, WatchedContainer
from profiler.report.basics.asterisk_words import container_name
from profiler.report.basics.frame_names import frame_names


def container_labels(recording: LeaksRecording) -> dict[int, str]:
    """Return what each container is called, by its address; no two are called alike."""
    frames = frame_names(recording)
    called = {}
    links = links_by_container(recording)
    for one in recording.containers:
        files = {recording.sites[link.site].file for link in links.get(one.address, ())}
        comparator = None if one.comparator is None else frames[one.comparator]
        called[one.address] = container_name({file for file in files if file}, comparator)
    counts = Counter(called.values())
    return {
        one.address: _label(one, called[one.address], counts[called[one.address]])
        for one in recording.containers
    }


def _label(container: WatchedContainer, name: str | None, count: int) -> str:
    if name is not None and count == 1:
        return name
    return f"{name or container.kind} at {container.address:#x}"


def links_by_container(recording: LeaksRecording) -> Mapping[int, Sequence[LinkCount]]:
    """Return, by a container's address, how often each place linked into it, or unlinked."""
    found: dict[int, list[LinkCount]] = defaultdict(list)
    for link in recording.links:
        found[link.container].append(link)
    return found
