"""The mirrors in Python agree with the headers, as the C compiler lays them out."""

from __future__ import annotations

import re
import struct
from dataclasses import fields

import pytest

from profiler.asterisk.abi import ENTRY_FUNCTIONS
from profiler.process.threads import present_threads, thread_births, thread_exits
from profiler.wire import leaks, links, lookups, offcpu, tasks, unwind
from tests.unit.wire.c_headers import ENUMS, STRUCTS, evaluate

RECORDS: dict[str, type[lookups.Record]] = {
    "layout": lookups.Layout,
    "control": lookups.Control,
    "traversal_code": lookups.TraversalCode,
    "traversal_frame": lookups.TraversalFrame,
    "window_state": lookups.WindowState,
    "counting_control": lookups.CountingControl,
    "counting_state": lookups.CountingState,
    "group_key": lookups.GroupKey,
    "group": lookups.Group,
    "histogram_key": lookups.HistogramKey,
    "lookup_stack_key": lookups.LookupStackKey,
    "lookup_stack": lookups.LookupStack,
    "object_control": leaks.ObjectControl,
    "object_state": leaks.ObjectState,
    "object_type": leaks.ObjectTypeKey,
    "object_births": leaks.ObjectBirths,
    "followed_object": leaks.FollowedRecord,
    "object_link": leaks.ObjectLink,
    "object_event": leaks.ObjectEvent,
}
STACK = f"{unwind.STACK_HEAD.format}{unwind.MAX_FRAMES + unwind.MAX_KERNEL_FRAMES}Q"
FORMATS = {
    **{name: record.FORMAT for name, record in RECORDS.items()},
    "unwind_rule": unwind.WIDE_RULE,
    "unwind_block": unwind.BLOCK,
    "unwind_mapping": unwind.MAPPING,
    "unwind_active": unwind.ACTIVE,
    "unwind_stack": struct.Struct(STACK),
    "cpu_time": unwind.CPU_TIME,
    "thread_exit": thread_exits.RECORD,
    "thread_birth": thread_births.RECORD,
    "present_thread": present_threads.RECORD,
    "offcpu_wait": offcpu.WAIT,
    "offcpu_event": offcpu.EVENT,
    "offcpu_control": offcpu.CONTROL,
    "offcpu_state": offcpu.STATE,
    "task_event": tasks.EVENT,
    "task_control": tasks.CONTROL,
    "task_state": tasks.STATE,
    "link_control": links.CONTROL,
    "link_state": links.STATE,
    "link_stack": links.LINK_STACK,
}
MIRRORS = {
    # in C: what its names begin with, and the mirror
    "place": ("PLACE_", lookups.Place),
    "entry_function": ("ENTRY_", lookups.Place),
    "verdict": ("", lookups.Verdict),
    "lookup_counter": ("LOOKUPS_", lookups.LookupCounter),
    "metric": ("METRIC_", lookups.Metric),
    "container_kind": ("KIND_", lookups.Kind),
    "task_event_kind": ("TASK_", tasks.TaskEventKind),
    "object_place": ("OBJECT_", leaks.ObjectPlace),
    "object_watch": ("WATCH_", leaks.ObjectWatch),
}
CONSTANTS = {
    **{
        name: getattr(lookups, name)
        for name in ("MAX_DEPTH", "EXACT_SLOTS", "OCTAVE_SLOTS", "MATCH_BY_ADDRESS")
    },
    **{
        f"UNWIND_{name}": getattr(unwind, name)
        for name in (
            *("MAX_FRAMES", "ROOT_FRAMES", "MAX_KERNEL_FRAMES"),
            *("MAX_MAPPINGS", "BLOCK_SHIFT"),
            *("KIND_SHIFT", "SLOT_SHIFT", "OFFSET_MASK", "SLOT_LOST", "WHOLE"),
        )
    },
    **{
        name: getattr(unwind, name[7:])
        for kind in ("kind", "bp")
        for name in ENUMS[f"unwind_{kind}"]
    },
    "UNWIND_CAUSES": len(unwind.CAUSES),
    "TASK_NAME_BYTES": tasks.NAME_BYTES,
    "CPU_PUSH_IS_FIRST": unwind.PUSH_IS_FIRST,
    "CPU_PUSH_BYTES(0x10203)": 2,
    **{f"CPU_{name.upper()}": index for index, name in enumerate(unwind.CPU_COUNTERS)},
    "CPU_COUNTERS": len(unwind.CPU_COUNTERS),
    **{f"OFFCPU_{name.upper()}": index for index, name in enumerate(offcpu.COUNTERS)},
    "OFFCPU_COUNTERS": len(offcpu.COUNTERS),
    **{
        f"OFFCPU_{name}": getattr(offcpu, name)
        for name in (
            *("NOBODY", "KERNEL", "THREAD", "PROCESS"),
            *("PREEMPTED", "OLD", "NO_SYSCALL"),
        )
    },
}


def packed_places(layout: struct.Struct) -> list[tuple[int, int]]:
    """Return offset and size of each value that a format packs."""
    at, places = 0, []
    for count, code in re.findall(r"(\d*)([a-zA-Z])", layout.format):
        size = 1 if code == "s" else struct.calcsize(f"<{code}")
        for _ in range(int(count or 1)):
            if code != "x":
                places.append((at, size))
            at += size
    assert at == layout.size
    return places


@pytest.mark.parametrize("name", STRUCTS)
def test_structs_lie_in_memory_as_python_packs_them(name: str) -> None:
    wanted = [f"sizeof(struct {name})"]
    for member, length in STRUCTS[name]:
        whole = f"((struct {name} *)0)->{member}"
        one = f"{whole}[0]" if length else whole
        wanted += [f"offsetof(struct {name}, {member})", f"sizeof({whole})", f"sizeof({one})"]
    size, *found = evaluate(wanted)
    assert size == FORMATS[name].size
    places = []
    for (member, _), at, whole, one in zip(
        STRUCTS[name], *(found[i::3] for i in range(3)), strict=True
    ):
        if member != "unused":
            places += [(at + offset, one) for offset in range(0, whole, one)]
    assert places == packed_places(FORMATS[name])


def test_every_struct_has_a_mirror() -> None:
    assert STRUCTS.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", RECORDS)
def test_members_have_the_same_names_in_the_same_order(name: str) -> None:
    mirror = [field.name for field in fields(RECORDS[name])]
    assert [member for member, _ in STRUCTS[name] if member != "unused"] == mirror


@pytest.mark.parametrize("name", MIRRORS)
def test_enums_have_the_same_values(name: str) -> None:
    prefix, mirror = MIRRORS[name]
    names = [word for word in ENUMS[name] if not word.endswith("_COUNT")]
    reported = dict(zip((n.removeprefix(prefix) for n in names), evaluate(names), strict=True))
    known = {member.name: member.value for member in mirror}
    if mirror is lookups.Place:
        assert reported.items() <= known.items()
        assert len(reported) == (7 if name == "place" else len(ENTRY_FUNCTIONS))
    else:
        assert reported == known


def test_constants_have_the_same_values() -> None:
    assert dict(zip(CONSTANTS, evaluate(CONSTANTS), strict=True)) == CONSTANTS
    entries = [f"__ao2_{place.name.lower()}" for place in lookups.Place][: len(ENTRY_FUNCTIONS)]
    assert tuple(entries) == ENTRY_FUNCTIONS


def test_causes_are_named_in_the_order_of_the_header() -> None:
    unfinished, *names, count = ENUMS["unwind_cause"]
    assert evaluate([unfinished, *names, count]) == list(range(len(unwind.CAUSES) + 1))
    for name, shown in zip(names, unwind.CAUSES[1:], strict=True):
        assert set(name.lower().split("_")[1:]) <= set(shown.split())
