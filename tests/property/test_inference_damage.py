"""Damaged modules: inference gives a printable name or none, and never crashes or hangs."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.binary.elf import Elf, ElfError
from profiler.binary.functions import functions
from tests.mapped_files import LOADED_AT, session_of

SOURCE = Path(__file__).parent.parent / "unit" / "inference" / "module.c"
NAME = re.compile(r"~?[A-Za-z_][\w.@]*")
LONGEST_S = 60.0  # far more than any takes: a search without an end is found


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("damage") / "module.so"
    subprocess.run(["gcc", "-s", "-O2", "-shared", "-fPIC", "-o", path, SOURCE], check=True)
    return path.read_bytes()


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=16)),
        min_size=1,
        max_size=20,
    )
)
def test_damage_is_survived(contents: bytes, damage: list[tuple[int, bytes]]) -> None:
    started = time.process_time()
    data = bytearray(contents)
    for place, value in damage:
        place %= len(data)
        data[place : place + len(value)] = value
    try:
        elf = Elf.from_bytes(bytes(data))
        _ = elf.build_id
    except ElfError:
        return  # such a file counts as unreadable when it is mapped
    session = session_of(elf, "/usr/lib/module.so")
    starts = functions(Elf.from_bytes(contents)).starts
    for frame in session.frames(LOADED_AT + start for start in starts):
        if frame.symbol is not None and frame.origin == "inferred":
            assert NAME.fullmatch(frame.symbol)
    assert all(map(str.isprintable, session.problems()))
    assert time.process_time() - started < LONGEST_S
