from __future__ import annotations

import pytest

from profiler.model.recording import Socket


@pytest.mark.parametrize(
    ("longest", "drops", "is_idle"), [(0, 0, True), (1, 0, False), (0, 1, False)]
)
def test_a_socket_is_idle_without_queue_and_drops(longest: int, drops: int, is_idle: bool) -> None:
    assert Socket("0.0.0.0:5060", longest, 0.0, drops).is_idle is is_idle
