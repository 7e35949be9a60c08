"""The release that is taken out of a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import forget
from lab.errors import LabError
from tests import compiled

SOURCE = """
void cleanup(void *object, const char *tag, const char *file, int line, const char *function);
void first(void *object) {{ cleanup(object, 0, __FILE__, 18159, __func__); object = 0; {again} }}
void second(void *object, int *seen) {{ cleanup(object, 0, __FILE__, 18160, __func__); ++*seen; }}
"""


def build(tmp_path: Path, again: str = "") -> bytes:
    source = SOURCE.format(again=again)
    return compiled.build(tmp_path, source, "-shared", "-fPIC", "-O2").read_bytes()


def test_one_call_is_taken_out_and_nothing_else(tmp_path: Path) -> None:
    before = build(tmp_path)
    after = forget.without_release(before, 18160)
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    call = changed[0]
    assert len(after) == len(before)
    assert before[call : call + 1] == forget.CALL_REL32
    assert after[call : call + 5] == forget.NOTHING
    assert changed[-1] < call + 5


def test_a_module_without_that_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="another version"):
        forget.without_release(build(tmp_path), 18161)


def test_a_module_that_has_the_line_twice_is_refused(tmp_path: Path) -> None:
    again = 'cleanup(object, 0, __FILE__, 18160, __func__); __asm__ volatile("");'
    with pytest.raises(LabError, match="exactly once"):
        forget.without_release(build(tmp_path, again), 18160)
