"""Calls of container operations, on programs whose lines are known, built as Asterisk's are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from profiler.asterisk.container_calls import (
    ContainerCalls,
    SourcePlace,
    operation_name,
    passes_place,
)
from profiler.binary.functions import functions
from profiler.binary.instructions import Flow
from tests.compiled import build, code_of, image_of

SOURCE = """
#line 1 "chan_fake.c"
void *__ao2_find(void *, void *, int, const char *, const char *, int, const char *);
void *__ao2_iterator_next(void *, const char *, const char *, int, const char *);
void use(void *);
#define find(c, arg) __ao2_find(c, arg, 64, 0, __FILE__, __LINE__, __func__)

void handle_request(void *peers, int count)
{
    for (int i = 0; i < count; i++) {
        use(find(peers, &count));
    }
}
void passes_it_on(void *c, const char *file, int line, const char *function)
{
    use(__ao2_find(c, c, 64, 0, file, line, function));
}
void two_places(void *c, int which)
{
    use(__ao2_iterator_next(c, 0, __FILE__, which ? 20 : 21, __func__));
}
"""
BUILDS = {
    "-O3": ("-shared", "-fPIC", "-O3"),
    "without linkage stubs": ("-shared", "-fPIC", "-O2", "-fno-plt"),
    "-Os": ("-shared", "-fPIC", "-Os"),
    "-O0": ("-shared", "-fPIC", "-O0"),
}


def calls_in(folder: Path, function: str, *flags: str) -> tuple[ContainerCalls, list[int]]:
    """Return the calls of a stripped module, and where those of one function return to."""
    program = build(folder, SOURCE, *flags)
    subprocess.run(["strip", program], check=True)
    image = image_of(program)
    ends = [
        instruction.end
        for instruction in code_of(image, function)
        if instruction.flow in (Flow.CALL, Flow.INDIRECT_CALL)
    ]
    return ContainerCalls(image.elf, functions(image.elf)), ends


@pytest.mark.parametrize("flags", BUILDS.values(), ids=BUILDS)
def test_a_call_shows_its_operation_and_its_source_place(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    calls, ends = calls_in(tmp_path, "handle_request", *flags)
    found = [call for call in map(calls.before, ends) if call is not None]
    assert [call.callee for call in found] == ["__ao2_find", "use"]
    assert calls.place(found[0]) == SourcePlace("chan_fake.c", 9, "handle_request")
    assert calls.place(found[1]) == SourcePlace(None, None, None)
    assert calls.function(found[0].address) == "handle_request"


def test_places_that_are_handed_on_are_not_invented(tmp_path: Path) -> None:
    calls, ends = calls_in(tmp_path, "passes_it_on", *BUILDS["-O3"])
    call = calls.before(ends[0])
    assert call is not None and call.callee == "__ao2_find"
    assert calls.place(call) == SourcePlace(None, None, None)


def test_lines_that_share_a_call_are_not_told_apart(tmp_path: Path) -> None:
    calls, ends = calls_in(tmp_path, "two_places", *BUILDS["-O3"])
    places = [calls.place(call) for call in map(calls.before, ends) if call is not None]
    assert SourcePlace("chan_fake.c", None, "two_places") in places


def test_what_is_no_call_is_none(tmp_path: Path) -> None:
    calls, ends = calls_in(tmp_path, "handle_request", *BUILDS["-O3"])
    assert calls.before(ends[0] - 1) is None
    assert calls.before(0) is None
    assert calls.before(1 << 62) is None
    assert calls.function(1 << 62) is None


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        ("__ao2_find", "ao2_find"),
        ("__ao2_link_debug", "ao2_link"),
        ("ao2_container_dup", "ao2_container_dup"),
        ("__ao2_ref", None),
        ("ao2_find_next", None),
        (None, None),
    ],
)
def test_operations_have_one_name_in_all_versions(
    function: str | None, operation: str | None
) -> None:
    assert operation_name(function) == operation


def test_functions_that_take_their_callers_place_are_known() -> None:
    assert passes_place("__ast_format_cache_get")
    assert passes_place("__ao2_find_debug")
    assert not passes_place("ao2_container_dup")
    assert not passes_place(None)
