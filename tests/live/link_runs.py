"""Recordings of an Asterisk in which a container of the lab's module grows."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

from lab.instance import Instance
from profiler.asterisk.find import find_asterisk
from profiler.links import measurement
from profiler.model.recording import Recording
from profiler.record import recorder
from profiler.record.preparation.sampling import Options
from profiler.record.progress import Stop
from profiler.report.basics.frame_names import frame_names
from profiler.sampling.sampling_programs import compile_sampling

LONG_S = 60  # until programs were compiled on a machine that has much else to do


def recorded(asterisk: Instance, seconds: int, budget_ratio: float | None = 0.01) -> Recording:
    """Record with all that is measured."""
    options = Options(duration_ns=seconds * 1_000_000_000, budget_ratio=budget_ratio)
    compilation = compile_sampling(options.kernel_frames)
    try:
        target = find_asterisk(asterisk.pid)
        return recorder.record(target, options, compilation, Stop(), lambda _: None, lambda _: None)
    finally:
        compilation.close()


def recorded_growing(
    asterisk: Instance, seconds: int, budget_ratio: float | None = 0.01
) -> Recording:
    """Record while a container grows; longer where no link was seen."""
    asterisk.groundtruth("objects start site=link percent=100 rate=20")
    try:
        # Else it takes half a minute until a container is said to grow.
        with patch.object(measurement, "lasting_growth", lambda _: 1.0):
            recording = recorded(asterisk, seconds, budget_ratio)
            if recording.links is None or not recording.links.stacks:
                recording = recorded(asterisk, LONG_S, budget_ratio)
    finally:
        asterisk.groundtruth("objects free")
    return recording


def linking_functions(recording: Recording) -> Counter[str]:
    """Return how often each function linked; nothing is missing, and all stacks are whole."""
    links, names = recording.links, frame_names(recording)
    assert links is not None, recording.warnings
    accounting = links.accounting
    assert accounting.fired == accounting.kept + accounting.filtered + accounting.lost
    assert accounting.lost == 0
    counts: Counter[str] = Counter()
    for one in links.stacks:
        stack = recording.stacks[one.stack]
        assert stack.cause is None
        counts[names[stack.frames[0]].lstrip("~")] += one.links
    assert sum(counts.values()) == accounting.kept
    return counts
