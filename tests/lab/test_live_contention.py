"""Threads that contend for a lock tell what they saw, so that it can be trusted."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.instance import Instance
from tests.contention import end, start

pytestmark = pytest.mark.live


@pytest.mark.parametrize("lock", ["", "box=contended"])
def test_they_wait_for_as_long_as_others_have_it(asterisk: Instance, lock: str) -> None:
    if lock:
        asterisk.groundtruth("make contended hash 7 10")
    start(asterisk, f"threads=5 turns=7 hold=3000 pause=0 {lock}")
    truth = end(asterisk)
    if lock:
        asterisk.groundtruth("free contended")
    assert (len(set(truth.tids)), truth.turns) == (5, 35)
    assert (truth.object is None) == (not lock)
    assert truth.held_ns >= 35 * 3_000_000
    assert 0 < truth.waited <= truth.waits
    assert truth.waited <= truth.turns
    assert truth.longest_ns <= truth.total_ns <= truth.waited * truth.longest_ns


def test_one_thread_never_waits(asterisk: Instance) -> None:
    start(asterisk, "threads=1 turns=7 hold=100")
    truth = end(asterisk)
    assert (truth.waits, truth.waited, truth.total_ns) == (0, 0, 0)


@pytest.mark.parametrize("words", ["threads=99", "box=none", "x=1", "hold=0"])
def test_what_cannot_be_made_is_refused(asterisk: Instance, words: str) -> None:
    with pytest.raises(LabError, match="no such contention"):
        start(asterisk, words)


def test_there_is_one_contention_at_a_time(asterisk: Instance) -> None:
    start(asterisk, "threads=2 turns=3")
    with pytest.raises(LabError, match="already"):
        start(asterisk, "threads=2")
    end(asterisk)
    with pytest.raises(LabError, match="nothing contends"):
        end(asterisk)
