from __future__ import annotations

from profiler.model.profile import Thread
from profiler.renderers.words.thread_groups import group_label, lane_namer
from tests.examples import empty, with_threads


def test_a_lane_is_called_as_its_group() -> None:
    monitor = Thread(1, "asterisk", "do_monitor", 0.5, 0.0, 50)
    calls = (Thread(tid, "asterisk", "pbx_thread", 0.001, 0.0, 1) for tid in range(2, 1_402))
    profile = with_threads(empty(), monitor, *calls)
    labels = [group_label(group) for group in profile.thread_groups]
    assert labels == ["pbx_thread (1,400 threads)", "do_monitor (1)"]
    lane_of = lane_namer(profile)
    assert [lane_of(tid) for tid in (1, 2, 1_401)] == [labels[1], labels[0], labels[0]]
    assert lane_of(1_402) == "thread (1402)"


def test_no_two_groups_share_a_lane() -> None:
    """Threads that nothing names are called alike, although they run different code."""
    starts = ("asterisk+0x10", "asterisk+0x10", "asterisk+0x20", "asterisk+0x20")
    threads = (
        Thread(tid, "asterisk", None, 0.001, 0.0, 1, start) for tid, start in enumerate(starts)
    )
    lane_of = lane_namer(with_threads(empty(), *threads))
    assert [lane_of(tid) for tid in range(4)] == [
        *["asterisk (2 threads, busiest 0)"] * 2,
        *["asterisk (2 threads, busiest 2)"] * 2,
    ]
