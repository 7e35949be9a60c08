from __future__ import annotations

import pytest

from profiler.model.observed import GroupWindow, MeasuredWindow, ObservedLookups, UnwindStack
from profiler.model.recording import ProbeWindow
from profiler.process.mappings import TRAMPOLINES
from profiler.record.assembly import _container_ends, _Frames
from profiler.wire.lookups import Group, GroupKey, LookupCounter, Verdict
from profiler.wire.unwind import CAUSES, WHOLE

UNKNOWN_MAPPING = CAUSES.index("unknown mapping")
IN_RETURN = 0xFFFFFFFF81335D00
KERNEL = {IN_RETURN: "__do_sys_uretprobe", 0xFFFFFFFF81336000: "__do_sys_getppid"}
PATHS = {0x7FFFFFFFE084: TRAMPOLINES, 0x5000: "/lib/strange.so"}


def frames(*stacks: UnwindStack, kernel: bool = True, user: bool = True) -> _Frames:
    return _Frames(dict(enumerate(stacks, 1)), PATHS.get, KERNEL.get, kernel, user)


def shown(made: _Frames, index: int | None) -> tuple[list[int], int, str | None]:
    """Return addresses, number of kernel frames, and cause of a stack."""
    assert index is not None
    addresses = list(made.addresses)
    stack = made.stacks[index]
    return [addresses[frame] for frame in stack.frames], stack.kernel_count, stack.cause


def test_return_addresses_are_moved_into_their_calls() -> None:
    made = frames(UnwindStack(WHOLE, (0x100, 0x200, 0x300), ()))
    assert shown(made, made.stack(1)) == ([0x100, 0x1FF, 0x2FF], 0, None)
    assert shown(made, made.stack(1, (0x50,), is_leaf=False))[0] == [0x50, 0xFF, 0x1FF, 0x2FF]


def test_kernel_frames_come_first_and_either_side_can_be_left_out() -> None:
    stack = UnwindStack(WHOLE, (0x100, 0x200), (0x9000, 0x9100))
    both = frames(stack)
    assert shown(both, both.stack(1)) == ([0x9000, 0x90FF, 0x100, 0x1FF], 2, None)
    only = frames(stack, kernel=False)
    assert shown(only, only.stack(1)) == ([0x100, 0x1FF], 0, None)
    only = frames(stack, user=False)
    assert shown(only, only.stack(1)) == ([0x9000, 0x90FF], 2, None)


def test_equal_stacks_are_one_and_lost_ones_are_none() -> None:
    made = frames(UnwindStack(WHOLE, (0x100,), ()))
    assert made.stack(1) == made.stack(1)
    assert made.stack(2) is None
    assert len(made.stacks) == 1


@pytest.mark.parametrize(
    ("stack", "cause"),
    [
        (UnwindStack(3, (0x7005,), (0x9000,)), "inside a probe"),
        (UnwindStack(3, (0x7005,), ()), "no rule"),  # not in the kernel: it really is there
        (UnwindStack(3, (0x7005, 0x100), (0x9000,)), "no rule"),  # it had a caller
        (UnwindStack(3, (0x7006,), (0x9000,)), "no rule"),
    ],
)
def test_a_probed_jump_that_is_being_emulated_says_so(stack: UnwindStack, cause: str) -> None:
    made = frames(stack)
    made.behind_probes = frozenset((0x7005,))
    assert shown(made, made.stack(1))[2] == cause


def test_a_stack_cut_while_the_kernel_leaves_a_return_probe_says_so_and_has_no_callers() -> None:
    kernel = (IN_RETURN, 0xFFFFFFFF81336001)
    made = frames(UnwindStack(UNKNOWN_MAPPING, (0x100, 0x5000), kernel))
    addresses, kernel_count, cause = shown(made, made.stack(1))
    assert addresses == [IN_RETURN, 0xFFFFFFFF81336000, 0x100]
    assert (kernel_count, cause) == (2, "inside a probe")
    assert made.ended_in == set()
    made = frames(UnwindStack(UNKNOWN_MAPPING, (0x100, 0x5000), kernel), kernel=False)
    assert shown(made, made.stack(1)) == ([0x100], 0, "inside a probe")


@pytest.mark.parametrize(
    ("cause", "kernel", "expected"),
    [
        (WHOLE, (IN_RETURN,), None),
        (UNKNOWN_MAPPING, (0xFFFFFFFF81336000, IN_RETURN), "unknown mapping"),  # called from there
        (UNKNOWN_MAPPING, (0xFFFFFFFF90000000,), "unknown mapping"),  # the kernel shows no names
        (UNKNOWN_MAPPING, (), "unknown mapping"),
    ],
)
def test_other_stacks_keep_their_callers_and_their_cause(
    cause: int, kernel: tuple[int, ...], expected: str | None
) -> None:
    made = frames(UnwindStack(cause, (0x100, 0x5001), kernel))
    addresses, kernel_count, shown_cause = shown(made, made.stack(1))
    assert (addresses[kernel_count:], shown_cause) == ([0x100, 0x5000], expected)


@pytest.mark.parametrize(
    ("leaf", "cause", "ended_in"),
    [
        (0x7FFFFFFFE084, "inside a probe", set()),
        (0x5000, "unknown mapping", {"/lib/strange.so"}),
        (0x6000, "unknown mapping", set()),
    ],
)
def test_a_stack_that_ends_in_a_probe_says_so(leaf: int, cause: str, ended_in: set[str]) -> None:
    made = frames(UnwindStack(UNKNOWN_MAPPING, (leaf,), ()))
    assert shown(made, made.stack(1)) == ([leaf], 0, cause)
    assert made.ended_in == ended_in


def group(first: int, last: int) -> Group:
    return Group(1, 2, (0,) * len(Verdict), 0, 0, 0, 0, 0, 0, 0, 0, 0, first, last)


def key(line: int, container: int = 1) -> GroupKey:
    return GroupKey(container, 2, 3, 4, line, 0, 0)


def window(*keys: GroupKey) -> MeasuredWindow:
    return MeasuredWindow(
        window=ProbeWindow(0, 1, 1, 1),
        groups=tuple(GroupWindow(key, 1) for key in keys),
        is_counting=False,
        cpu_begin_ns=0,
        cpu_end_ns=1,
        cpu_ns=1,
        cost_ns=1,
        admitted=1,
        refused=0,
    )


def ends(
    groups: dict[GroupKey, Group], *windows: MeasuredWindow
) -> dict[tuple[int, int], tuple[int, int]]:
    return _container_ends(
        ObservedLookups(
            groups=groups,
            histograms={},
            stacks={},
            counters=dict.fromkeys(LookupCounter, 0),
            windows=windows,
            cpu_begin_ns=0,
            cpu_end_ns=1,
            containers={},
            texts={},
            entries={},
            probes=(),
        )
    )


def test_growth_is_from_the_first_lookup_to_the_last_whatever_group_they_are_of() -> None:
    late, early = key(1), key(2)
    groups = {late: group(50, 90), early: group(10, 60)}
    assert ends(groups, window(early), window(early, late), window(late)) == {(1, 2): (10, 90)}
    assert ends(groups, window(late), window(late, early)) == {(1, 2): (50, 60)}


def test_groups_of_no_window_and_windows_of_no_group_do_no_harm() -> None:
    groups = {key(1): group(5, 6), key(1, container=9): group(7, 8)}
    assert ends(groups, window(key(1), key(77))) == {(1, 2): (5, 6), (9, 2): (7, 8)}
