from __future__ import annotations

import pytest

from profiler.report.frame_names import frame_names
from profiler.report.thread_roles import thread_roles
from profiler.report.wait_paths import WaitPaths
from tests import examples
from tests.off_cpu_examples import busy_recording, off_cpu


@pytest.fixture
def paths() -> WaitPaths:
    recording = busy_recording(examples.recording(), off_cpu([]))
    return WaitPaths(recording, frame_names(recording), thread_roles(recording))


def test_a_path_has_neither_the_start_nor_what_takes_the_lock(paths: WaitPaths) -> None:
    assert paths.path(0) == (
        "session_do",
        "action_status",
        "ast_channel_get_by_name",
        "__ao2_callback",
    )


def test_a_path_keeps_the_innermost_calls(paths: WaitPaths) -> None:
    assert len(paths.path(1)) == 4
    assert paths.path(1)[-1] == "internal_ao2_traverse"


def test_nothing_is_known_of_a_stack_that_was_not_unwound(paths: WaitPaths) -> None:
    assert paths.path(None) == ()


def test_a_thread_is_called_by_its_role_or_its_tid(paths: WaitPaths) -> None:
    assert (paths.role(30), paths.role(99_999)) == ("session_do", "thread 99999")
