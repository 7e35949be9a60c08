from __future__ import annotations

import struct

import pytest

from profiler.model.observed import UnwindStack
from profiler.unwind.stacks import UnwoundStacks, stack_name
from profiler.wire.unwind import (
    MAX_FRAMES,
    MAX_KERNEL_FRAMES,
    ROOT_FRAMES,
    STACK_HEAD,
    WHOLE,
)

CAUSE = 6
KERNEL = 1 << 63


def record(
    name: int,
    user: tuple[int, ...],
    kernel: tuple[int, ...] = (),
    cause: int = WHOLE,
    depth: int | None = None,
) -> bytes:
    """Return what the programs send of a stack for the first time."""
    check, key = divmod(name, 1 << 64)
    depth = len(user) if depth is None else depth
    head = STACK_HEAD.pack(key, check, 0, 0, len(user), len(kernel), cause, depth, 0)
    return head + struct.pack(f"<{len(user) + len(kernel)}Q", *user, *kernel)


def kept(*records: bytes) -> UnwoundStacks:
    stacks = UnwoundStacks()
    for one in records:
        stacks.add(stack_name(one), one)
    return stacks


@pytest.mark.parametrize("name", [1, 1 << 64, (1 << 128) - 1])
def test_a_record_names_its_stack(name: int) -> None:
    assert stack_name(record(name, (5,))) == name


def test_the_largest_stack_is_kept_as_it_was() -> None:
    user = tuple(range(1, MAX_FRAMES + 1))
    kernel = tuple(KERNEL | number for number in range(MAX_KERNEL_FRAMES))
    sent = record(7, user, kernel, CAUSE)
    assert kept(sent)[7] == UnwindStack(CAUSE, user, kernel)
    assert kept(sent).cause(7) == CAUSE


@pytest.mark.parametrize("left_out", [0, 1, 63, 64, 65, 272])
def test_of_a_deep_stack_both_ends_are_there(left_out: int) -> None:
    depth = MAX_FRAMES + left_out
    stored = [0] * MAX_FRAMES
    for frame in range(depth):  # as unwind_record in bpf/unwind.h does
        beyond = frame >= MAX_FRAMES
        stored[MAX_FRAMES - ROOT_FRAMES + frame % ROOT_FRAMES if beyond else frame] = frame
    found = kept(record(1, tuple(stored), (KERNEL,), depth=depth))[1]
    leaf = MAX_FRAMES - ROOT_FRAMES
    user = (*range(leaf), *range(depth - ROOT_FRAMES, depth))
    assert found == UnwindStack(WHOLE, user, (KERNEL,), left_out)


def test_stacks_that_share_addresses_are_kept_apart() -> None:
    stacks = kept(record(1, (5, 6, 7)), record(2, (7, 6), (KERNEL,)), record(3, ()))
    assert dict(stacks) == {
        1: UnwindStack(WHOLE, (5, 6, 7), ()),
        2: UnwindStack(WHOLE, (7, 6), (KERNEL,)),
        3: UnwindStack(WHOLE, (), ()),
    }


def test_a_record_without_its_addresses_adds_nothing() -> None:
    assert list(kept(record(1, (5, 6))[: STACK_HEAD.size])) == []


def test_what_is_not_wanted_any_more_is_forgotten() -> None:
    stacks = kept(record(1, (5,)), record(2, (6,)), record(3, (7,)))
    stacks.keep_only({1, 3, 4})
    assert list(stacks) == [1, 3]
    assert 2 not in stacks
    assert stacks[3].frames == (7,)


def test_addresses_of_forgotten_stacks_are_forgotten() -> None:
    stacks = kept(record(1, (5, 6)), record(2, (6, 7, 8), (KERNEL,)), record(3, (9,), cause=CAUSE))
    stacks.keep_only({2, 3})
    assert stacks.address_count == 5
    stacks.add(4, record(4, (8, 5)))
    assert dict(stacks) == {
        2: UnwindStack(WHOLE, (6, 7, 8), (KERNEL,)),
        3: UnwindStack(CAUSE, (9,), ()),
        4: UnwindStack(WHOLE, (8, 5), ()),
    }
