from __future__ import annotations

import pytest

from profiler.model.observed import UnwindStack
from profiler.process.mappings import TRAMPOLINES
from profiler.record.assembly.stacks import StackIndex
from profiler.wire.unwind import CAUSES, WHOLE

UNKNOWN_MAPPING = CAUSES.index("unknown mapping")
IN_RETURN = 0xFFFFFFFF81335D00
KERNEL = {IN_RETURN: "__do_sys_uretprobe", 0xFFFFFFFF81336000: "__do_sys_getppid"}
PATHS = {0x7FFFFFFFE084: TRAMPOLINES, 0x5000: "/lib/strange.so"}


def frames(*stacks: UnwindStack, kernel: bool = True, user: bool = True) -> StackIndex:
    return StackIndex(dict(enumerate(stacks, 1)), PATHS.get, KERNEL.get, kernel, user)


def shown(made: StackIndex, index: int | None) -> tuple[list[int], int, str | None]:
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


def test_where_frames_are_left_out_of_a_deep_stack_is_kept() -> None:
    deep = UnwindStack(WHOLE, tuple(range(0x100, 0x180)), (0x9000, 0x9100), 272)
    made = frames(deep)
    index = made.stack(1, (0x50,))
    assert index is not None
    stack = made.stacks[index]
    assert (stack.left_out, stack.left_out_at) == (272, 2 + 1 + 64)
    only = frames(deep, user=False)
    index = only.stack(1)
    assert index is not None
    assert only.stacks[index].left_out == 0


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
