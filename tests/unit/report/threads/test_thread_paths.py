from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import Thread, ThreadPath
from profiler.model.recording import Frame, MappedFile, Recording, Sample, Stack, ThreadUse
from profiler.report.basics.frame_names import frame_names
from profiler.report.threads.thread_groups import thread_groups
from profiler.report.threads.thread_paths import heaviest_paths, with_paths
from tests.example_times import START_NS
from tests.examples import recording

FILES = ("/usr/sbin/asterisk", "/usr/lib/libc.so.6", "[kernel]")
LIBC = {"start_thread", "libc.so.6+0x100", "__poll", "__qsort", "__memcpy"}


def frame(name: str) -> Frame:
    """Return a frame: `name()` is the kernel's, one with an offset is named by nothing."""
    if name.endswith("()"):
        return Frame(0, 2, None, None, name[:-2], "kallsyms")
    if "+0x" in name:
        offset = int(name.partition("+")[2], 16)
        return Frame(offset, int(name in LIBC), offset, offset, None, None)
    return Frame(0, int(name in LIBC), 0, 0, name, "symtab")


def recorded(*stacks: Sequence[str], cause: str | None = None, samples: int = 10) -> Recording:
    """Return a recording of one thread that was in these stacks, root first, equally often."""
    names = sorted({name for stack in stacks for name in stack})
    made = tuple(
        Stack(
            tuple(names.index(name) for name in reversed(stack)),
            sum(name.endswith("()") for name in stack),
            cause,
        )
        for stack in stacks
    )
    return replace(
        recording(),
        files=tuple(MappedFile(path, None) for path in FILES),
        frames=tuple(map(frame, names)),
        stacks=made,
        samples=tuple(
            Sample(START_NS + number, 7, stack)
            for stack in range(len(made))
            for number in range(samples)
        ),
        threads=(ThreadUse(7, "asterisk", 900_000_000, 0, False),),
        containers=(),
        lookups=(),
        lookup_stacks=(),
    )


def folded(*stack: str, cause: str | None = None) -> tuple[str, ...]:
    """Return the frames of the one path of a thread with one stack."""
    made = recorded(stack, cause=cause)
    (group,) = with_paths(made, frame_names(made), thread_groups([thread()]))
    return group.paths[0].frames if group.paths else ()


def thread() -> Thread:
    return Thread(7, "asterisk", None, 0.9, 0.0, 10)


@pytest.mark.parametrize(
    ("stack", "shown"),
    [
        # Starts and the role are left out, and what is inside of the C library.
        (
            ["libc.so.6+0x100", "start_thread", "dummy_start", "pbx_thread", "a", "__memcpy"],
            ["a", "memcpy"],
        ),
        # The system call stands for all of the kernel, and for the C library's function.
        (["main", "a", "__poll", "entry()", "__x64_sys_poll()", "do_poll()"], ["a", "poll"]),
        (["main", "a", "asm_exc_page_fault()", "handle_mm_fault()"], ["a", "page fault"]),
        (["main", "a", "asm_sysvec_apic_timer_interrupt()"], ["a"]),
        # Callbacks from the C library continue the path.
        (["main", "a", "__qsort", "compare"], ["a", "compare"]),
        # What nothing names is left out, but not where it ends, and not if there is nothing else.
        (["main", "a", "asterisk+0x20", "b"], ["a", "b"]),
        (["main", "a", "asterisk+0x20"], ["a", "asterisk+0x20"]),
        (["main", "a", "asterisk+0x20", "__poll"], ["a", "poll"]),
        (["main", "asterisk+0x10", "asterisk+0x20", "__poll"], ["asterisk+0x20", "poll"]),
        (["main", "a", "libc.so.6+0x100"], ["a", "libc.so.6"]),
        # Of a lookup, what it calls is left out, but not that it waits.
        (["main", "a", "__ao2_find", "traverse", "compare", "__memcpy"], ["a", "__ao2_find"]),
        (["main", "a", "__ao2_find", "__x64_sys_futex()"], ["a", "__ao2_find", "futex"]),
        # Of a recursion one frame is shown.
        (["main", "a", "a", "a", "b"], ["a", "b"]),
        (["main"], ["main"]),
    ],
)
def test_a_stack_is_folded_to_what_tells_the_story(stack: list[str], shown: list[str]) -> None:
    assert folded(*stack) == tuple(shown)


def test_a_truncated_stack_keeps_its_outermost_frame() -> None:
    assert folded("a", "b", cause="too deep") == ("a", "b")


def test_paths_are_those_of_their_own_threads() -> None:
    made = recorded(["main", "a", "b"], ["main", "c", "d"])
    threads = [replace(thread(), tid=tid, role=str(tid)) for tid in (7, 8)]
    groups = with_paths(made, frame_names(made), thread_groups(threads))
    assert [(group.tids, len(group.paths)) for group in groups] == [((7,), 2), ((8,), 0)]


def paths(weights: dict[str, int], runnable_ratio: float = 0.9) -> list[ThreadPath]:
    """Return the paths of stacks like "a b c"."""
    counts = Counter({tuple(stack.split()): weight for stack, weight in weights.items()})
    return list(heaviest_paths(counts, runnable_ratio))


def shown(weights: dict[str, int]) -> list[tuple[str, float]]:
    return [(path.label, path.ratio) for path in paths(weights)]


def test_a_path_goes_on_while_a_call_has_half() -> None:
    assert shown({"a b c": 30, "a b d": 25, "a e": 5, "a": 40}) == [
        ("a and other calls", 0.45),
        ("a > b > c", 0.3),
        ("a > b > d", 0.25),
    ]


def test_a_fan_of_light_calls_ends_a_path() -> None:
    fan = {f"a b c{number}": 5 for number in range(20)}
    assert shown(fan) == [("a > b", 1.0)]


def test_below_what_all_have_in_common_paths_divide() -> None:
    weights = {"run read parse": 40, "run look find": 30, "run write": 20, "run": 10}
    assert shown(weights) == [
        ("run > read > parse", 0.4),
        ("run > look > find", 0.3),
        ("run > write", 0.2),
    ]


def test_of_a_long_path_the_end_and_where_it_branches_are_shown() -> None:
    assert shown({"a b c d e f": 10}) == [("c > d > e > f", 1.0)]
    weights = {"a b c d e f": 60, "a x": 40}
    assert shown(weights) == [("b > d > e > f", 0.6), ("a > x", 0.4)]


def test_few_samples_say_nothing() -> None:
    assert shown({"a b": 9}) == []
    assert shown({"a b": 10}) == [("a > b", 1.0)]
    assert shown({"a b": 12, "c": 3}) == [("a > b", 0.8), ("c", 0.2)]
    assert shown({"a b": 12, "c": 2}) == [("a > b", 12 / 14)]
    assert paths({}) == []


def test_stacks_that_have_nothing_in_common_have_no_path() -> None:
    assert shown({str(number): 5 for number in range(20)}) == []


LOOP = {"join wait poll": 60, "join wait now": 10, "join wait": 20, "join": 5, "other": 5}


def test_a_loop_that_waits_without_sleeping_is_said_to_be_busy() -> None:
    path = paths(LOOP, 0.5)[0]
    assert path.busy_loop_ratio == 0.85
    assert path.label == "join > wait > poll (busy loop: 85 % of the time in poll and its callers)"


@pytest.mark.parametrize(
    ("weights", "runnable_ratio"),
    [
        (LOOP, 0.49),  # it sleeps
        ({**LOOP, "join wait work": 50}, 0.9),  # it works
        ({stack.replace("poll", "memcpy"): weight for stack, weight in LOOP.items()}, 0.9),
    ],
)
def test_other_loops_are_not(weights: dict[str, int], runnable_ratio: float) -> None:
    assert all(path.busy_loop_ratio is None for path in paths(weights, runnable_ratio))


def test_sleeping_for_a_moment_again_and_again_is_a_busy_loop() -> None:
    sleeps = {"wait clock_nanosleep": 80, "wait": 20}
    assert paths(sleeps, 0.1)[0].busy_loop_ratio == 1.0
    assert paths(sleeps, 0.09)[0].busy_loop_ratio is None


stacks = st.lists(st.sampled_from("abcd"), max_size=5).map(" ".join)


@given(st.dictionaries(stacks, st.integers(1, 50), max_size=12))
def test_paths_share_no_sample(weights: dict[str, int]) -> None:
    found = paths(weights)
    assert len(found) <= 3
    assert sum(path.ratio for path in found) <= 1 + 1e-9
    ratios = [path.ratio for path in found]
    assert ratios == sorted(ratios, reverse=True)
    assert all(path.ratio >= 0.1 and 1 <= len(path.frames) <= 4 for path in found)
