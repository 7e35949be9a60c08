from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.binary.build_id import DebugLink, parse_build_id, parse_debuglink


def note(owner: bytes, kind: int, contents: bytes, align: int = 4) -> bytes:
    head = struct.pack("<III", len(owner), len(contents), kind) + owner
    head += bytes(-len(head) % align)
    return head + contents + bytes(-len(contents) % align)


BUILD_ID = note(b"GNU\0", 3, b"\x01\x02\x03\x04\x05")


def test_build_id_is_found_behind_other_notes() -> None:
    others = note(b"GNU\0", 1, bytes(16)) + note(b"stapsdt\0", 3, b"abc")
    assert parse_build_id(others + BUILD_ID, 4) == "0102030405"
    assert parse_build_id(others, 4) is None


def test_notes_aligned_to_8_bytes_are_stepped_over() -> None:
    other = note(b"GNU\0", 5, bytes(12), 8)
    assert parse_build_id(other + note(b"GNU\0", 3, b"\xab" * 20, 8), 8) == "ab" * 20


@pytest.mark.parametrize("cut", range(1, len(BUILD_ID)))
def test_truncated_note_is_none(cut: int) -> None:
    found = parse_build_id(BUILD_ID[:cut], 4)
    assert found is None if cut < len(BUILD_ID) - 3 else found == "0102030405"


def test_build_id_beyond_the_bound_is_none() -> None:
    assert parse_build_id(note(b"GNU\0", 3, bytes(64)), 4) == "00" * 64
    assert parse_build_id(note(b"GNU\0", 3, bytes(65)), 4) is None


def test_debug_link_has_name_and_checksum() -> None:
    assert parse_debuglink(b"abc\0" + b"\x78\x56\x34\x12") == DebugLink("abc", 0x12345678)
    assert parse_debuglink(b"abcd\0\0\0\0" + b"\1\0\0\0") == DebugLink("abcd", 1)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\0\1\0\0\0", b"abc", b"abc\0\1\0\0", b"a/b\0\1\0\0\0", b"..\0\0\1\0\0\0"]
)
def test_debug_link_without_a_plain_name_or_checksum_is_none(data: bytes) -> None:
    assert parse_debuglink(data) is None


@given(st.binary(max_size=200), st.integers(0, 16))
def test_any_bytes_are_survived(data: bytes, align: int) -> None:
    parse_build_id(data, align)
    parse_debuglink(data)
