"""BTF as the format's documentation has it, made here, and that of the running kernel."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.linux import btf
from profiler.linux.btf import Types

INT, STRUCT, UNION, FUNC = 1, 4, 5, 12
BITS = 1 << 31  # kind_flag: offsets of members hold the sizes of bit fields, too

Member = tuple[str, int, int]  # name, type, offset in bits


class Made:
    """BTF data in the making; the first type that is added has the id 1."""

    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def integer(self) -> None:
        self.types += struct.pack("<IIII", self.name("int"), INT << 24, 4, 32)

    def function(self, name: str) -> None:
        self.types += struct.pack("<III", self.name(name), FUNC << 24, 1)

    def structure(
        self, name: str, members: Sequence[Member], kind: int = STRUCT, flag: int = 0
    ) -> None:
        head = flag | kind << 24 | len(members)
        self.types += struct.pack("<III", self.name(name), head, 0)
        for member, type_id, bits in members:
            self.types += struct.pack("<III", self.name(member), type_id, bits)

    def data(self) -> bytes:
        lengths = (0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, *lengths) + self.types + self.strings


@pytest.fixture
def made() -> Made:
    """1 int, 2 entity, 3 a nameless union, 4 a nameless structure, 5 task, 6 a function."""
    made = Made()
    made.integer()
    made.structure("entity", [("weight", 1, 0), ("runtime", 1, 832)])
    made.structure("", [("pid", 1, 0), ("alias", 1, 0)], UNION)
    made.structure("", [("", 3, 64), ("flag", 1, 1 << 24 | 96)], flag=BITS)
    made.structure("task", [("state", 1, 0), ("se", 2, 128), ("", 4, 2_048)])
    made.function("works")
    return made


def test_members_of_inner_and_of_nameless_structures(made: Made) -> None:
    paths = ("state", "se", "se.runtime", "pid", "alias", "flag")
    assert Types(made.data()).offsets("task", paths) == (0, 16, 120, 264, 264, 268)


@pytest.mark.parametrize(
    ("structure", "path"),
    [
        ("nothing", "state"),
        ("works", "state"),  # a function
        ("task", "absent"),
        ("task", "runtime"),  # of another structure
        ("task", "state.runtime"),  # not a structure
        ("task", ""),
    ],
)
def test_one_member_that_is_not_there_makes_all_unknown(
    made: Made, structure: str, path: str
) -> None:
    assert Types(made.data()).offsets(structure, ("state", path)) is None


def test_structures_that_hold_themselves_end(made: Made) -> None:
    made.structure("endless", [("", 7, 0)])
    assert Types(made.data()).offsets("endless", ("pid",)) is None


def test_functions_by_name(made: Made) -> None:
    assert Types(made.data()).function_ids(frozenset(("works", "absent", "task"))) == {"works": 6}


@given(st.data())
def test_broken_data_tells_nothing_or_something_but_does_not_fail(data: st.DataObject) -> None:
    whole = Made()
    whole.structure("task", [("state", 1, 0), ("", 1, 0)])
    whole.function("works")
    text = bytearray(whole.data())
    for at in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
        text[at] = data.draw(st.integers(0, 255))
    broken = bytes(text[: data.draw(st.integers(0, len(text)))])
    Types(broken).offsets("task", ("state", "absent"))
    Types(broken).function_ids(frozenset(("works",)))


def test_the_running_kernel_tells_of_its_tasks() -> None:
    places = btf.offsets("task_struct", ("pid", "tgid", "comm"))
    assert places is not None
    pid, tgid, comm = places
    assert tgid == pid + 4  # include/linux/sched.h has had them side by side for ever
    assert comm > 0
