"""The header that the kernel's side is compiled with, beside its mirror in Python."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import fields
from enum import IntEnum
from pathlib import Path

import pytest

from profiler.asterisk.abi import ENTRY_FUNCTIONS
from profiler.linux.bcc import bpf_directory
from profiler.wire import lookups
from tests.counting import slot_of

HEADER = (bpf_directory() / "wire.h").read_text()
WITHOUT_COMMENTS = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
ENUMS: Mapping[str, tuple[str, type[IntEnum], str]] = {
    # in C: (what its names begin with, the mirror, what the mirror's names begin with)
    "place": ("PLACE_", lookups.Place, ""),
    "entry_function": ("ENTRY_", lookups.Place, ""),
    "verdict": ("", lookups.Verdict, ""),
    "lookup_counter": ("LOOKUPS_", lookups.LookupCounter, ""),
    "metric": ("METRIC_", lookups.Metric, ""),
    "container_kind": ("KIND_", lookups.Kind, ""),
}
RECORDS = {
    "layout": lookups.Layout,
    "control": lookups.Control,
    "window_state": lookups.WindowState,
    "group_key": lookups.GroupKey,
    "group": lookups.Group,
    "histogram_key": lookups.HistogramKey,
    "lookup_stack_key": lookups.LookupStackKey,
}


def run(folder: Path, statements: list[str]) -> list[list[str]]:
    """Run C statements that print lines, with the header's names; return the words of each line."""
    text = "\n".join(
        (
            "#include <stdint.h>\n#include <stdio.h>\n#include <stddef.h>",
            "typedef uint32_t u32; typedef uint64_t u64; typedef int32_t s32;",
            HEADER.replace("#pragma once", ""),
            "int main(void) {",
            *statements,
            "return 0; }",
        )
    )
    source, program = folder / "wire.c", folder / "wire"
    source.write_text(text)
    subprocess.run(["gcc", "-Wall", "-Werror", source, "-o", program], check=True)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [line.split() for line in output.splitlines()]


def structs() -> dict[str, list[tuple[str, str | None]]]:
    """Return the members of each struct of the header: name and, of arrays, the length."""
    found = {}
    for name, body in re.findall(r"struct (\w+) \{(.*?)\};", WITHOUT_COMMENTS, re.DOTALL):
        members = re.findall(r"u(?:32|64) (\w+)(?:\[(\w+)\])?;", body)
        assert len(members) == body.count(";")
        found[name] = [(member, length or None) for member, length in members]
    return found


def expected_places(layout: struct.Struct) -> list[tuple[int, int]]:
    """Return offset and size of each value that a format packs."""
    text = layout.format
    at, places = 0, []
    for count, code in re.findall(r"(\d*)([IQx])", text):
        size = {"I": 4, "Q": 8, "x": 1}[code]
        for _ in range(int(count or 1)):
            if code != "x":
                places.append((at, size))
            at += size
    assert at == layout.size
    return places


@pytest.mark.parametrize("name", structs())
def test_structs_lie_in_memory_as_python_packs_them(tmp_path: Path, name: str) -> None:
    members = [member for member in structs()[name] if member[0] != "unused"]
    statements = [f'printf("%zu\\n", sizeof(struct {name}));']
    for member, _ in members:
        place = f"offsetof(struct {name}, {member}), sizeof(((struct {name} *)0)->{member})"
        statements.append(f'printf("%zu %zu\\n", {place});')
    (size,), *told = run(tmp_path, statements)
    layout = getattr(lookups, f"_{name.upper()}")
    assert int(size) == layout.size == lookups.SIZES[name]
    places = []
    for (_, length), (offset, whole) in zip(members, told, strict=True):
        count = 1 if length is None else len(lookups.Verdict)
        width = int(whole) // count
        places += [(int(offset) + width * index, width) for index in range(count)]
    packed = expected_places(layout)
    if name == "group_key":
        assert packed.pop() == (44, 4)  # the unused member, which BPF hashes too
    assert places == packed


def test_every_struct_has_a_mirror() -> None:
    assert set(structs()) == set(lookups.SIZES)


@pytest.mark.parametrize("name", RECORDS)
def test_members_have_the_same_names_in_the_same_order(name: str) -> None:
    mirror = [field.name for field in fields(RECORDS[name])]
    assert [member for member, _ in structs()[name] if member != "unused"] == mirror


@pytest.mark.parametrize("name", ENUMS)
def test_enums_have_the_same_values(tmp_path: Path, name: str) -> None:
    prefix, mirror, _ = ENUMS[name]
    match = re.search(rf"enum {name} \{{(.*?)\}}", WITHOUT_COMMENTS, re.DOTALL)
    assert match is not None
    names = list(re.findall(r"\b([A-Z_]+)\b(?! *=)", match[1]))
    names += re.findall(r"\b([A-Z_]+) *=", match[1])
    names = [word for word in dict.fromkeys(names) if not word.endswith("_COUNT")]
    lines = run(tmp_path, [f'printf("{word} %d\\n", {word});' for word in names])
    told = {word.removeprefix(prefix): int(value) for word, value in lines}
    known = {member.name: member.value for member in mirror}
    if mirror is lookups.Place:
        assert told.items() <= known.items()
        assert len(told) == (7 if name == "place" else len(ENTRY_FUNCTIONS))
    else:
        assert told == known


def test_constants_are_the_same(tmp_path: Path) -> None:
    names = ("MAX_DEPTH", "EXACT_SLOTS", "OCTAVE_SLOTS", "MATCH_BY_ADDRESS")
    lines = run(tmp_path, [f'printf("{name} %d\\n", {name});' for name in names])
    assert lines == [[name, str(getattr(lookups, name))] for name in names]
    entries = [f"__ao2_{place.name.lower()}" for place in lookups.Place][: len(ENTRY_FUNCTIONS)]
    assert tuple(entries) == ENTRY_FUNCTIONS


def test_cookies_are_taken_apart_as_they_were_made(tmp_path: Path) -> None:
    values = (0, 8, 0x7FFF_FFFF_FFFF, (1 << 55) - 1)
    parts = [(p, value, emulated) for p in lookups.Place for value in values for emulated in (0, 1)]
    cookies = [lookups.cookie(place, value, bool(emulated)) for place, value, emulated in parts]
    statements = [
        f'printf("%u %llu %d\\n", PLACE_OF({cookie}ULL), (unsigned long long)VALUE_OF({cookie}ULL),'
        f" !({cookie}ULL & STEPPED));"
        for cookie in cookies
    ]
    told = [tuple(map(int, words)) for words in run(tmp_path, statements)]
    assert told == [(int(place), value, emulated) for place, value, emulated in parts]
    assert [lookups.place_of(cookie) for cookie in cookies] == [place for place, _, _ in parts]


def test_functions_are_taken_apart_as_they_were_put_together(tmp_path: Path) -> None:
    parts = [(a, pushed) for a in (1, 0x5555_5555_5550, (1 << 47) - 1) for pushed in (0, 8, 2040)]
    values = [lookups.function_value(address, pushed) for address, pushed in parts]
    assert all(value < 1 << 55 for value in values)
    statements = [
        f'printf("%llu %llu\\n", FUNCTION_OF({value}ULL), PUSHED_BYTES_OF({value}ULL));'
        for value in values
    ]
    assert [tuple(map(int, words)) for words in run(tmp_path, statements)] == parts


@pytest.mark.parametrize(("address", "pushed"), [(1 << 47, 0), (1, 7), (1, 2048)])
def test_functions_that_do_not_fit_are_refused(address: int, pushed: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        lookups.function_value(address, pushed)


def test_slots_follow_each_other_without_a_gap() -> None:
    ends = [lookups.slot_range(slot) for slot in range(1500)]
    assert ends[0] == (0, 1)
    assert all(high == low for (_, high), (low, _) in zip(ends, ends[1:], strict=False))
    assert all((high - low) * 32 <= max(low, 32) for low, high in ends)


def test_the_kernel_puts_values_into_the_same_slots(tmp_path: Path) -> None:
    source = (bpf_directory() / "lookup_commit.h").read_text()
    match = re.search(r"static __always_inline u32 slot_of.*?\n\}\n", source, re.DOTALL)
    assert match is not None
    values = sorted(
        {value for bit in range(64) for value in ((1 << bit) - 1, 1 << bit, (1 << bit) + 1)}
        | set(range(300))
        | {3 << bit for bit in range(62)}
    )
    values = [value for value in values if value < 1 << 63]
    # A function inside main is one of gcc's extensions.
    function = (
        re.sub(r"#pragma.*\n", "", match[0])
        .replace("__always_inline ", "")
        .replace("static", "auto", 1)
    )
    statements = [
        function,
        f"u64 values[] = {{{', '.join(f'{value}ULL' for value in values)}}};",
        "for (size_t i = 0; i < sizeof(values) / 8; i++)",
        'printf("%u\\n", slot_of(values[i]));',
    ]
    told = [int(word) for (word,) in run(tmp_path, statements)]
    assert told == [slot_of(value) for value in values]


@pytest.mark.parametrize(
    ("slot", "low", "high"),
    [(0, 0, 1), (127, 127, 128), (128, 128, 132), (159, 252, 256), (160, 256, 264)],
)
def test_slots_are_exact_below_128_and_a_32nd_of_an_octave_above(
    slot: int, low: int, high: int
) -> None:
    assert lookups.slot_range(slot) == (low, high)


def test_a_window_that_is_open_has_no_end() -> None:
    open_window = lookups.WindowState(1, None, 3, 4, 5, 6, 7, 8, 9, 10)
    assert lookups.decode_window_state(open_window.encode()) == open_window
    closed = lookups.decode_window_state(struct.pack("<10Q", *range(1, 11)))
    assert closed == lookups.WindowState(*range(1, 11))


@pytest.mark.parametrize(("counted", "in_flight"), [(-1, 0), (-3, 0), ((1 << 63) - 1,) * 2])
def test_lookups_in_flight_are_never_below_none(counted: int, in_flight: int) -> None:
    data = struct.pack("<3Qq6Q", 0, 0, 0, counted, 0, 0, 0, 0, 0, 0)
    assert lookups.decode_window_state(data).in_flight == in_flight


def test_a_group_has_a_count_for_each_verdict() -> None:
    group = lookups.decode_group(struct.pack("<21Q2I2Q", *range(25)))
    assert (group.id, group.v_table, group.verdicts) == (0, 1, tuple(range(2, 13)))
    assert (group.hits, group.disagreed) == (13, 24)
    assert (group.elements_first, group.elements_last) == (21, 22)


def test_keys_are_taken_apart() -> None:
    assert lookups.decode_group_key(struct.pack("<4Q4I", *range(1, 9))) == lookups.GroupKey(
        container=1, comparator=2, file=3, function=4, line=5, flags=6, entry=7
    )
    assert lookups.decode_histogram_key(struct.pack("<Q2I", 9, 2, 130)) == lookups.HistogramKey(
        9, lookups.Metric.DURATION, 130
    )
    assert lookups.decode_lookup_stack_key(struct.pack("<4Q", 1, 2, 3, 4)) == (
        lookups.LookupStackKey(stack=1, container=2, comparator=3, entry=4)
    )
    assert lookups.decode_lookup_stack(struct.pack("<2Q", 5, 6)) == (5, 6)


@pytest.mark.parametrize(
    "name", ["traversal_frame", "window_state", "group_key", "group", "histogram_key"]
)
@pytest.mark.parametrize("change", [-1, 1])
def test_bytes_of_another_size_are_refused(name: str, change: int) -> None:
    with pytest.raises(struct.error):
        getattr(lookups, f"decode_{name}")(bytes(lookups.SIZES[name] + change))
