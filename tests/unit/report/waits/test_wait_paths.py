from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.recording import Frame, Recording, Stack
from profiler.report.basics.frame_names import frame_names
from profiler.report.threads.thread_roles import thread_roles
from profiler.report.waits.wait_paths import WaitPaths
from tests import examples
from tests.off_cpu_examples import busy_recording, off_cpu

RECORDING = busy_recording(examples.recording(), off_cpu([]))
ELSEWHERE = -1  # in no file


def paths_of(recording: Recording) -> WaitPaths:
    return WaitPaths(recording, frame_names(recording), thread_roles(recording))


@pytest.fixture
def paths() -> WaitPaths:
    return paths_of(RECORDING)


def path(*functions: str | int) -> tuple[str, ...]:
    """Return the path of a stack: names or addresses of its functions, outermost first."""
    frames = tuple(
        Frame(
            address=0x10,
            file=None if one == ELSEWHERE else 0,
            offset=0x10,
            function_offset=one if isinstance(one, int) else 0x10,
            symbol=one if isinstance(one, str) else None,
            origin=None,
        )
        for one in functions
    )
    stack = Stack(tuple(reversed(range(len(frames)))), 0, None)
    made = replace(RECORDING, frames=frames, stacks=(stack,), samples=(), threads=())
    return paths_of(made).path(0)


def test_a_path_has_neither_the_start_nor_what_takes_the_lock(paths: WaitPaths) -> None:
    assert paths.path(0) == (
        "session_do",
        "action_status",
        "ast_channel_get_by_name",
        "__ao2_callback",
    )
    assert paths.path(1)[-1] == "internal_ao2_traverse"


def test_a_long_path_keeps_who_asks_for_what_and_where_that_is() -> None:
    assert path(*"abcdefg") == tuple("abcdefg")
    assert path(*"abcdefgh") == (*"abc", "...", *"efgh")


def test_where_calls_have_names_those_without_tell_nothing() -> None:
    assert path("session_do", 0x40, "__ao2_link") == ("session_do", "__ao2_link")
    assert path("session_do", 0x40) == ("session_do", "asterisk+0x40")
    assert path(0x80, 0x40) == ("asterisk+0x80", "asterisk+0x40")


def test_an_address_in_no_file_tells_nothing() -> None:
    assert path(0x40, ELSEWHERE) == ("asterisk+0x40",)


def test_nothing_is_known_of_a_stack_that_was_not_unwound(paths: WaitPaths) -> None:
    assert paths.path(None) == ()


def test_a_thread_is_called_by_its_role_or_its_tid(paths: WaitPaths) -> None:
    assert (paths.role(30), paths.role(99_999)) == ("session_do", "thread 99999")
