"""CPU samples over the window by thread group, and a time line in the terms of a profile. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from profiler.model.profile import ThreadGroup
from profiler.model.recording import Recording
from profiler.model.time_line import GroupSamples, SampleBins, TimeLine

BINS_MAX = 100
_GROUPS_MAX = 6  # as many as have a colour that can be told from the others; then "all others"
_LEAST_SAMPLES = 10  # that a thread which always runs has in a bin


def sample_bins(recording: Recording, groups: Sequence[ThreadGroup]) -> SampleBins:
    """Return the samples of the busiest thread groups in each bin, and those of all others."""
    if not recording.samples:
        return SampleBins()
    window = recording.window
    bin_ns = bin_length_ns(window.duration_ns, recording.frequency_hz)
    bins = max((window.duration_ns + bin_ns // 2) // bin_ns, 1)  # no bin is much shorter
    shown = [index for index, group in enumerate(groups) if group.samples][:_GROUPS_MAX]
    place = {tid: index for index in shown for tid in groups[index].tids}
    found = Counter(
        (place.get(sample.tid), min(max((sample.time_ns - window.start_ns) // bin_ns, 0), bins - 1))
        for sample in recording.samples
    )
    series = (
        GroupSamples(group, tuple(found[group, at] for at in range(bins)))
        for group in (*shown, None)
    )
    return SampleBins(bin_ns, tuple(one for one in series if any(one.samples)))


def bin_length_ns(duration_ns: int, frequency_hz: float) -> int:
    """Return 1, 2 or 5 times a power of ten: so that bins are few, and samples in each are not."""
    least_ns = max(duration_ns / BINS_MAX, _LEAST_SAMPLES * 1e9 / frequency_hz)
    unit_ns = 1
    while 5 * unit_ns < least_ns:
        unit_ns *= 10
    return next(part * unit_ns for part in (1, 2, 5) if part * unit_ns >= least_ns)


def placed(line: TimeLine, position: Mapping[int, int]) -> TimeLine:
    """Return a recording's time line with the places that containers have in the profile."""
    containers = (
        replace(one, container=position[one.container])
        for one in line.containers
        if one.container in position
    )
    return replace(line, containers=tuple(containers))
