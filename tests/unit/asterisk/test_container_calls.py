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
int __ao2_lock(void *, int, const char *, const char *, int, const char *);
int __ao2_unlock(void *, const char *, const char *, int, const char *);
void locks(void *c, const char *given)
{
    __ao2_lock(c, 0, __FILE__, __func__, __LINE__, "peer->lock");
    use(find(c, 0));
    __ao2_lock(c, 0, __FILE__, __func__, __LINE__, given);
    __ao2_lock(c, 0, __FILE__, __func__, __LINE__, "\\033[0m");
    __ao2_unlock(c, __FILE__, __func__, __LINE__, "peer->lock");
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


@pytest.mark.parametrize("flags", BUILDS.values(), ids=BUILDS)
def test_a_call_shows_which_variable_it_hands_over(tmp_path: Path, flags: tuple[str, ...]) -> None:
    calls, ends = calls_in(tmp_path, "locks", *flags)
    locks = [call for call in map(calls.before, ends) if call and call.callee == "__ao2_lock"]
    assert [calls.text(call, 5) for call in locks] == ["peer->lock", None, None]
    assert calls.text(locks[0], 0) is None
    assert calls.place(locks[0]).function == "locks"


def test_what_a_function_called_before(tmp_path: Path) -> None:
    calls, ends = calls_in(tmp_path, "locks", *BUILDS["-Os"])

    def before(end: int) -> list[str]:
        # An address inside the call that a function is in, as stacks have it.
        return [call.callee for call in calls.calls_before(end - 1)]

    names = ["__ao2_lock", "__ao2_find", "use", "__ao2_lock"]
    assert before(ends[4]) == names
    assert before(ends[2]) == names[:2]
    assert before(ends[0]) == []
    assert before(1 << 62) == []


def test_arguments_that_are_the_same_in_every_call(tmp_path: Path) -> None:
    calls, ends = calls_in(tmp_path, "locks", *BUILDS["-O3"])
    (lock, *_) = calls.calls_before(ends[1] - 1)
    assert calls.argument(lock, 4) == calls.place(lock).line
    assert calls.argument(lock, 0) is None


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
