from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.recording import Frame, MappedFile, Recording, Sample, Stack, ThreadUse
from profiler.report.threads.thread_roles import Role, thread_roles
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


def roles(found: Recording) -> dict[int, str]:
    """Return the roles that have a name."""
    return {tid: role.name for tid, role in thread_roles(found).items() if role.is_named}


START = (frame(2, None), frame(2, "start_thread"), frame(0, "~dummy_start"))


def test_the_first_function_behind_the_common_starts() -> None:
    found = recorded(((*START, frame(1, "do_monitor"), frame(0, "ast_io_wait")), None), tids=(7,))
    assert roles(found) == {7: "do_monitor (chan_sip.so)"}


def test_the_wrapper_of_another_library_is_no_role() -> None:
    wrapper = frame(1, "~start_routine@pthread_create")
    found = recorded(((*START[:2], wrapper, frame(1, "~proc@SIP")), None), tids=(7,))
    assert roles(found) == {7: "~proc@SIP (chan_sip.so)"}


def test_functions_of_the_executable_stand_alone() -> None:
    found = recorded(((*START, frame(0, "~worker_start")), None), tids=(7,))
    assert roles(found) == {7: "~worker_start"}


def test_a_thread_that_was_only_seen_in_the_kernel_has_no_role() -> None:
    found = recorded(((*START, frame(0, "entry_SYSCALL_64")), None), tids=(7,))
    stack = replace(found.stacks[0], kernel_count=1)
    assert roles(replace(found, stacks=(stack,))) == {}


@pytest.mark.parametrize("cause", ["unreadable stack", "inside a probe"])
def test_truncated_stacks_give_no_role(cause: str) -> None:
    assert roles(recorded(((frame(0, "somewhere"),), cause), tids=(7,))) == {}


def test_the_most_frequent_start_wins() -> None:
    one = ((*START, frame(1, "do_monitor")), None)
    other = ((*START, frame(0, "other")), None)
    found = recorded(other, one, tids=(7, 7))
    again = replace(found, samples=(*found.samples, Sample(9, 7, 1)))
    assert roles(again) == {7: "do_monitor (chan_sip.so)"}


def started(frames: tuple[Frame, ...], tid: int = 9) -> ThreadUse:
    """A thread that began in these frames, which come behind `RUN` in the recording."""
    return ThreadUse(tid, "asterisk", 1, 0, True, tuple(range(len(RUN), len(RUN) + len(frames))))


RUN = (*START, frame(1, "do_monitor"))
TOLD = (frame(0, "~dummy_start"), frame(1, "~job_start"))


@pytest.mark.parametrize(
    ("start", "role"),
    [
        (TOLD, "~job_start (chan_sip.so)"),
        ((*START, *TOLD, frame(0, "inner")), "~job_start (chan_sip.so)"),
        ((frame(0, "job"), frame(1, "data")), "job"),
        ((frame(2, "timer_thread"),), None),
        ((), None),
    ],
)
def test_a_thread_without_a_sample_runs_what_it_was_started_with(
    start: tuple[Frame, ...], role: str | None
) -> None:
    found = recorded((RUN, None), tids=(7,))
    found = replace(found, frames=(*RUN, *start), threads=(started(start),))
    assert roles(found).get(9) == role


def test_what_a_thread_was_started_with_counts_more_than_its_samples() -> None:
    found = recorded((RUN, None), tids=(7,))
    found = replace(found, frames=(*RUN, *TOLD), threads=(started(TOLD, tid=7),))
    assert roles(found) == {7: "~job_start (chan_sip.so)"}


JUMPED = (*START[:2], frame(1, "serve_http"))  # the start routine has left the stack


@pytest.mark.parametrize(
    ("jumped", "others", "role"),
    [
        (9, 1, "serve_http (chan_sip.so)"),
        (9, 0, "~job_start (chan_sip.so)"),
        (8, 2, "~job_start (chan_sip.so)"),
    ],
    ids=["nearly all", "too few", "too different"],
)
def test_what_nearly_all_samples_of_one_start_show_is_what_all_of_it_run(
    jumped: int, others: int, role: str
) -> None:
    elsewhere = (*START, frame(0, "ast_register_thread"))
    found = recorded((JUMPED, None), (elsewhere, None), tids=(7, 8))
    first = len(found.frames)
    start = tuple(range(first, first + len(TOLD)))
    samples = [Sample(0, 7, 0)] * jumped + [Sample(0, 8, 1)] * others
    found = replace(
        found,
        frames=(*found.frames, *TOLD),
        samples=tuple(samples),
        threads=tuple(ThreadUse(tid, "asterisk", 1, 0, True, start) for tid in (7, 8, 9)),
    )
    assert roles(found) == dict.fromkeys((7, 8, 9), role)


def test_a_start_that_nothing_names_is_no_role_but_tells_threads_apart() -> None:
    found = recorded(((*START, frame(0, None, 0x19F380)), None), tids=(7,))
    assert thread_roles(found) == {7: Role("asterisk+0x19f380", False)}
