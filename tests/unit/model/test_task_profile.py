from __future__ import annotations

from tests import task_examples as t


def test_who_still_waits_counts_as_waiting() -> None:
    times = t.shown(t.overrun()).queues[0].times
    assert times.wait_ns.max == 2_407 * t.MS
    assert times.longest_wait_ns == 2_420 * t.MS
    assert times.total_ns == times.wait_ns.total + 2_400 * t.MS + 2_420 * t.MS


def test_several_are_labelled_with_their_number() -> None:
    several, single = t.shown(t.healthy()).queues
    assert several.label == "pjsip/distributor-N (×2)"
    assert single.label == single.name
