"""Cookies, slots and records, beside what the C compiler makes of the same."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import pytest

from profiler.linux.bcc import bpf_directory
from profiler.wire import lookups
from tests.counting import slot_of
from tests.unit.wire.c_headers import evaluate


def test_cookies_are_taken_apart_as_they_were_made() -> None:
    values = (0, 8, 0x7FFF_FFFF_FFFF, (1 << 55) - 1)
    parts = [(p, value, emulated) for p in lookups.Place for value in values for emulated in (0, 1)]
    cookies = [lookups.cookie(place, value, bool(emulated)) for place, value, emulated in parts]
    taken = ("PLACE_OF({}ULL)", "VALUE_OF({}ULL)", "!({}ULL & STEPPED)")
    found = evaluate(part.format(cookie) for cookie in cookies for part in taken)
    assert found == [number for part in parts for number in part]
    assert [lookups.place_of(cookie) for cookie in cookies] == [place for place, _, _ in parts]


def test_functions_are_taken_apart_as_they_were_put_together() -> None:
    parts = [(a, pushed) for a in (1, 0x5555_5555_5550, (1 << 47) - 1) for pushed in (0, 8, 2040)]
    values = [lookups.function_value(address, pushed) for address, pushed in parts]
    assert all(value < 1 << 55 for value in values)
    taken = ("FUNCTION_OF({}ULL)", "PUSHED_BYTES_OF({}ULL)")
    found = evaluate(part.format(value) for value in values for part in taken)
    assert found == [number for part in parts for number in part]


@pytest.mark.parametrize(("address", "pushed"), [(1 << 47, 0), (1, 7), (1, 2048)])
def test_functions_that_do_not_fit_are_refused(address: int, pushed: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        lookups.function_value(address, pushed)


def test_slots_follow_each_other_without_a_gap() -> None:
    ends = [lookups.slot_range(slot) for slot in range(1500)]
    assert ends[0] == (0, 1)
    assert all(high == low for (_, high), (low, _) in zip(ends, ends[1:], strict=False))
    assert all((high - low) * 32 <= max(low, 32) for low, high in ends)


def test_the_kernel_puts_values_into_the_same_slots() -> None:
    source = (bpf_directory() / "lookup_commit.h").read_text()
    match = re.search(r"static __always_inline u32 slot_of.*?\n\}\n", source, re.DOTALL)
    assert match is not None
    values = sorted(
        {value for bit in range(64) for value in ((1 << bit) - 1, 1 << bit, (1 << bit) + 1)}
        | set(range(300))
        | {3 << bit for bit in range(62)}
    )
    values = [value for value in values if value < 1 << 63]
    function = re.sub(r"#pragma.*\n|__always_inline ", "", match[0])
    found = evaluate((f"slot_of({value}ULL)" for value in values), function)
    assert found == [slot_of(value) for value in values]


@pytest.mark.parametrize(
    ("slot", "low", "high"),
    [(0, 0, 1), (127, 127, 128), (128, 128, 132), (159, 252, 256), (160, 256, 264)],
)
def test_slots_are_exact_below_128_and_a_32nd_of_an_octave_above(
    slot: int, low: int, high: int
) -> None:
    assert lookups.slot_range(slot) == (low, high)


def test_a_window_that_is_open_has_no_end() -> None:
    open_window = lookups.WindowState(1, None, 3, 4, 5, 6, 7, 8)
    assert lookups.WindowState.decode(open_window.encode()) == open_window
    closed = lookups.WindowState.decode(struct.pack("<8Q", *range(1, 9)))
    assert closed == lookups.WindowState(*range(1, 9))


@pytest.mark.parametrize(("counted", "in_flight"), [(-1, 0), (-3, 0), ((1 << 63) - 1,) * 2])
def test_lookups_in_flight_are_never_below_none(counted: int, in_flight: int) -> None:
    data = struct.pack("<3Qq4Q", 0, 0, 0, counted, 0, 0, 0, 0)
    assert lookups.WindowState.decode(data).in_flight == in_flight


def test_a_group_has_a_count_for_each_verdict() -> None:
    group = lookups.Group.decode(struct.pack("<21Q2I2Q", *range(25)))
    assert (group.id, group.v_table, group.verdicts) == (0, 1, tuple(range(2, 13)))
    assert (group.hits, group.disagreed) == (13, 24)
    assert (group.elements_first, group.elements_last) == (21, 22)


def test_a_record_is_decoded_as_it_was_encoded() -> None:
    data = struct.pack("<4Q4I", *range(1, 9))
    key = lookups.GroupKey(1, 2, 3, 4, line=5, flags=6, entry=7, buckets=8)
    assert lookups.GroupKey.decode(data) == key
    assert key.encode() == data


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize(
    ("decode", "size"),
    [(lookups.GroupKey.decode, 48), (lookups.WindowState.decode, 64), (lookups.Group.decode, 192)],
)
def test_bytes_of_another_size_are_refused(
    decode: Callable[[bytes], object], size: int, change: int
) -> None:
    decode(bytes(size))
    with pytest.raises(struct.error):
        decode(bytes(size + change))
