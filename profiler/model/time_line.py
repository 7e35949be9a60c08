"""How a run went: one number for each interval of the window. `None` is unknown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContainerSizes:
    """The most elements that a container held in each interval."""

    container: int  # index into `containers` of the recording or profile that holds this
    elements: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class TimeLine:
    """What was looked at again and again while recording.

    The first interval begins with the window, the others where the one before ends. A series is as
    long as `ends_ns`, or () if it was not followed. An item is None where nobody looked.
    """

    ends_ns: tuple[int, ...] = ()
    cost_ns: tuple[int | None, ...] = ()  # taken from the target in the interval, samples included
    lookups_hz: tuple[float | None, ...] = ()  # lookups a second, where lookups were counted
    verified: tuple[int | None, ...] = ()  # lookups in windows that ended in the interval
    comparisons: tuple[int | None, ...] = ()  # that these made
    queue_bytes: tuple[int | None, ...] = ()  # the longest receive queue of a UDP socket
    drops: tuple[int | None, ...] = ()  # by UDP sockets, in the interval
    containers: tuple[ContainerSizes, ...] = ()  # of those that cost or grew most


@dataclass(frozen=True, slots=True)
class GroupSamples:
    """CPU samples of one thread group in each bin."""

    group: int | None  # index into Profile.thread_groups; None: all others
    samples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SampleBins:
    """CPU samples over the window, in bins of one length; the last one ends with the window."""

    bin_ns: int = 0  # 0: there are none
    groups: tuple[GroupSamples, ...] = ()  # busiest first, all others last
