"""The patched binary, on an ELF file that a compiler made."""

import struct
from pathlib import Path

import pytest

from lab import patch
from lab.errors import LabError
from tests import compiled

SOURCE = """
int seen;
void other(void) {{ seen = 1567; }}
void {name}(void) {{ __asm__ volatile("{code}" ::: "edx"); }}
"""
LOAD = "movl $1567, %%edx\\n"


def build(tmp_path: Path, name: str, code: str) -> bytes:
    source = SOURCE.format(name=name, code=code)
    return compiled.build(tmp_path, source, "-shared", "-fPIC").read_bytes()


def test_only_the_immediate_changes(tmp_path: Path) -> None:
    before = build(tmp_path, "ast_tps_init", LOAD)
    after = patch.with_buckets(before, 7)
    assert len(after) == len(before)
    changed = [i for i in range(len(before)) if before[i] != after[i]]
    start = changed[0]
    assert before[start - 1 : start + 4] == b"\xba" + struct.pack("<i", 1567)
    assert after[start - 1 : start + 4] == b"\xba" + struct.pack("<i", 7)
    assert set(changed) <= set(range(start, start + 4))


def test_the_packaged_number_changes_nothing(tmp_path: Path) -> None:
    before = build(tmp_path, "ast_tps_init", LOAD)
    assert patch.with_buckets(before, patch.PACKAGED_BUCKETS) == before


@pytest.mark.parametrize("code", ["nop", LOAD + LOAD])
def test_a_binary_without_exactly_one_such_load_is_refused(tmp_path: Path, code: str) -> None:
    with pytest.raises(LabError, match="exactly once"):
        patch.with_buckets(build(tmp_path, "ast_tps_init", code), 7)


def test_a_binary_without_the_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="exports no ast_tps_init"):
        patch.with_buckets(build(tmp_path, "another", LOAD), 7)


def test_what_is_no_elf_file_is_refused() -> None:
    with pytest.raises(LabError, match="cannot be changed: not an ELF64 little-endian file"):
        patch.with_buckets(b"#!/bin/sh\n".ljust(64), 7)


@pytest.mark.parametrize("buckets", [0, -1, (1 << 20) + 1])
def test_an_impossible_number_is_refused(tmp_path: Path, buckets: int) -> None:
    with pytest.raises(LabError, match="no number of buckets"):
        patch.with_buckets(build(tmp_path, "ast_tps_init", LOAD), buckets)
