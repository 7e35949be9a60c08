"""Names of what is in a recording of leaks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import Change, ChangeKind
from profiler.model.recording import CallSite, Frame, Stack
from profiler.report.leaks.leak_names import names_of, site_name
from tests import examples
from tests.followed_objects import World, record

RECORDING = record(World(1, 60, 5, "attach", 0.5))


def test_types_without_a_destructor_are_called_by_who_makes_them() -> None:
    kinds = tuple(replace(one, destructor=None) for one in RECORDING.types)
    assert "leaky_destroy" in names_of(RECORDING).types
    assert "objects of leaky_alloc" in names_of(replace(RECORDING, types=kinds)).types


def test_a_place_without_a_file_is_its_function() -> None:
    assert site_name(CallSite(None, None, "f")) == "f"
    assert site_name(CallSite("a.c", None, "f")) == "a.c f"
    assert site_name(CallSite("a.c", 3, "f")) == "a.c:3 f"


NAMELESS = Frame(0x9000, 0, 0x5A0, 0x590, None, None)
CORE = Frame(0x9100, 1, 0x100, 0x100, "__ao2_link", "dynsym")
MODULE = "/usr/lib/asterisk/modules/chan_x.so"


def called(*lines: int, file: str | None = "chan_x.c", module: str = MODULE) -> str:
    """Return the name of the code from which a function changed references at those lines."""
    changes = [
        Change(at, ChangeKind.REFERENCE, 1, 1, at, 0, 7) for at in range(len(lines)) for _ in "ab"
    ]
    recording = replace(
        RECORDING,
        files=tuple(
            replace(examples.recording().files[0], path=path) for path in (module, "/sbin/asterisk")
        ),
        frames=(NAMELESS, CORE),
        stacks=(Stack((1, 0), 0, None),),
        sites=tuple(CallSite(file, line, "f") for line in lines),
        types=(),
        objects=(replace(RECORDING.objects[0], history=tuple(changes)),),
    )
    return names_of(recording).frames[0]


def test_nameless_code_is_shown_with_the_functions_in_it() -> None:
    assert called(3, 5) == "chan_x.so+0x590 (f)"
    assert called(3, 5, file="chan_x/part.c") == "chan_x.so+0x590 (f)"


@pytest.mark.parametrize("file", [None, "", ".", "/"])
def test_a_place_in_no_file_tells_nothing_of_nameless_code(file: str | None) -> None:
    assert called(3, 5, file=file) == "chan_x.so+0x590"


def test_one_line_may_be_of_a_function_that_jumped() -> None:
    assert called(3, 3) == "chan_x.so+0x590"


def test_what_passes_another_source_is_not_in_it() -> None:
    assert called(3, 5, file="chan_y.c") == "chan_x.so+0x590"
    assert called(3, 5, file="asterisk.c", module="/sbin/asterisk") == "asterisk+0x590"
