from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.recording import Frame, MappedFile, Recording, Sample, Stack
from profiler.report.thread_roles import thread_roles
from tests.examples import recording

FILES = (
    MappedFile("/usr/sbin/asterisk", None),
    MappedFile("/usr/lib/asterisk/modules/chan_sip.so", None),
    MappedFile("/lib/x86_64-linux-gnu/libc-2.31.so", None),
)


def frame(file: int, symbol: str | None, offset: int = 0x10) -> Frame:
    return Frame(offset, file, offset, None, symbol, "symtab" if symbol else None)


def recorded(*stacks: tuple[tuple[Frame, ...], str | None], tids: tuple[int, ...]) -> Recording:
    """Stacks of frames, root first, one sample of each."""
    frames: list[Frame] = []
    made = []
    for stack, cause in stacks:
        first = len(frames)
        frames += stack
        made.append(Stack(tuple(reversed(range(first, len(frames)))), 0, cause))
    samples = tuple(Sample(index, tid, index) for index, tid in enumerate(tids))
    return replace(
        recording(), files=FILES, frames=tuple(frames), stacks=tuple(made), samples=samples
    )


START = (frame(2, None), frame(2, "start_thread"), frame(0, "~dummy_start"))


def test_the_first_function_behind_the_common_starts() -> None:
    found = recorded(((*START, frame(1, "do_monitor"), frame(0, "ast_io_wait")), None), tids=(7,))
    assert thread_roles(found) == {7: "do_monitor (chan_sip.so)"}


def test_the_wrapper_of_another_library_is_no_role() -> None:
    wrapper = frame(1, "~start_routine@pthread_create")
    found = recorded(((*START[:2], wrapper, frame(1, "~proc@SIP")), None), tids=(7,))
    assert thread_roles(found) == {7: "~proc@SIP (chan_sip.so)"}


def test_functions_of_the_executable_stand_alone() -> None:
    found = recorded(((*START, frame(0, "~worker_start")), None), tids=(7,))
    assert thread_roles(found) == {7: "~worker_start"}


def test_a_thread_that_was_only_seen_in_the_kernel_has_no_role() -> None:
    found = recorded(((*START, frame(0, "entry_SYSCALL_64")), None), tids=(7,))
    stack = replace(found.stacks[0], kernel_count=1)
    assert thread_roles(replace(found, stacks=(stack,))) == {}


@pytest.mark.parametrize("cause", ["unreadable stack", "inside a probe"])
def test_truncated_stacks_give_no_role(cause: str) -> None:
    assert thread_roles(recorded(((frame(0, "somewhere"),), cause), tids=(7,))) == {}


def test_the_most_frequent_start_wins() -> None:
    one = ((*START, frame(1, "do_monitor")), None)
    other = ((*START, frame(0, "other")), None)
    found = recorded(other, one, tids=(7, 7))
    again = replace(found, samples=(*found.samples, Sample(9, 7, 1)))
    assert thread_roles(again) == {7: "do_monitor (chan_sip.so)"}
