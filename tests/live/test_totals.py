"""Lookups are counted as they begin, whether they are measured or not."""

from __future__ import annotations

import time
from contextlib import ExitStack
from threading import Thread

import pytest

from lab.instance import Instance
from profiler.asterisk.find import find_asterisk
from profiler.model.recording import LookupGroup, Recording
from profiler.record import recorder
from profiler.record.preparation.run import Run
from profiler.record.preparation.sampling import Options
from profiler.record.progress import Progress, Stop
from profiler.sampling.sampling_programs import compile_sampling
from tests.groundtruth import Box, box

pytestmark = [pytest.mark.live, pytest.mark.root]

LOOKUPS = 3_000
LONGEST_S = 120


def recorded_burst(searched: Box, options: Options, words: str) -> Recording:
    """Record until a burst is over that begins once lookups are counted."""
    target = find_asterisk(searched.instance.pid)
    stop = Stop()
    with ExitStack() as stack:
        compilation = compile_sampling(options.kernel_frames)
        stack.callback(compilation.close)
        run = recorder.begin(stack, target, options, compilation)
        recorder.begin_lookups(stack, run, target, options)
        burst = Thread(target=_burst, args=(run, searched, words, stop))
        burst.start()
        recorder.run_until_end(run, stop, _ignore)
        burst.join()
        return recorder.finish(run, target, options)


def _burst(run: Run, searched: Box, words: str, stop: Stop) -> None:
    assert run.lookups is not None
    deadline = time.monotonic() + LONGEST_S
    try:
        while not run.lookups.counter.is_open and time.monotonic() < deadline:
            time.sleep(0.01)
        searched.instance.groundtruth(f"run {searched.name} hit {words}")
    finally:
        stop.reason = "done"


def _ignore(_: Progress) -> None:
    return None


def groups_of(recording: Recording, searched: Box) -> list[LookupGroup]:
    """Return the groups of a container: one more until the programs know its layout."""
    return [
        group
        for group in recording.lookups
        if recording.containers[group.container].address == searched.address
    ]


@pytest.mark.parametrize("budget_ratio", [0.1, None], ids=["budget", "no budget"])
def test_a_burst_is_counted_from_its_first_lookup_to_its_last(
    sip: Instance, budget_ratio: float | None
) -> None:
    options = Options(LONGEST_S * 10**9, budget_ratio=budget_ratio)
    with box(sip, "burst", "hash 7 700") as searched:
        # A quarter of the budget at most: no machine is so slow that it is not open all the time.
        recording = recorded_burst(searched, options, f"count={LOOKUPS} rate=2000")
    groups = groups_of(recording, searched)
    assert sum(group.counted for group in groups) == LOOKUPS
    assert 0 < sum(group.measured for group in groups) <= LOOKUPS
    assert LOOKUPS <= sum(group.estimated_total for group in groups) <= 1.5 * LOOKUPS
