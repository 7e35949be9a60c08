"""Who links into containers of a real Asterisk that grow."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.instance import Instance
from profiler.asterisk.find import find_asterisk
from profiler.links import measurement
from profiler.model.recording import Recording
from profiler.record import recorder
from profiler.record.preparation import Options
from profiler.record.progress import Stop
from profiler.report.frame_names import frame_names
from profiler.sampling.sampling_programs import compile_sampling

pytestmark = [pytest.mark.live, pytest.mark.root]


def recorded(asterisk: Instance, seconds: int) -> Recording:
    options = Options(duration_ns=seconds * 1_000_000_000)
    compilation = compile_sampling(options.kernel_frames)
    try:
        target = find_asterisk(asterisk.pid)
        return recorder.record(target, options, compilation, Stop(), lambda _: None, lambda _: None)
    finally:
        compilation.close()


def test_links_are_counted_by_who_links(
    asterisk: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else it takes half a minute until a container is said to grow.
    monkeypatch.setattr(measurement, "lasting_growth", lambda _: 1.0)
    asterisk.groundtruth("objects start site=link percent=100 rate=20")
    try:
        recording = recorded(asterisk, 12)
        if recording.links is None or not recording.links.stacks:
            recording = recorded(asterisk, 60)  # it took that long until programs were compiled
    finally:
        asterisk.groundtruth("objects free")
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
    assert counts["enlist"] > 10, counts


def test_without_a_container_that_grows_no_link_is_trapped(asterisk: Instance) -> None:
    links = recorded(asterisk, 5).links
    assert links is not None
    assert (links.accounting.fired, links.covered_ns, links.stacks) == (0, 0, ())
