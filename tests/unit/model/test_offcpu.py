from __future__ import annotations

from profiler.model.offcpu import LOCK, LongWait


def test_a_long_wait_lasts_until_it_was_seen_last() -> None:
    wait = LongWait(7, LOCK, 1_000, 4_000, False, None, None)
    assert wait.duration_ns == 3_000
