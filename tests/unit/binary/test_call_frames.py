from __future__ import annotations

import struct

import pytest

from profiler.binary.call_frames import (
    CallFrameSection,
    MalformedCallFramesError,
    read_entries,
    read_sleb,
    read_uleb,
)
from tests.call_frames import ADDRESS, OFFSET_16, USUAL_INIT, Section, sleb, uleb

ABSOLUTE = struct.Struct("<QQ")


def ranges(section: CallFrameSection) -> list[tuple[int, int]]:
    return [(start, end) for start, end, _, _ in read_entries(section)]


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 1 << 32, (1 << 63) - 1])
def test_unsigned_numbers_are_read_back(value: int) -> None:
    assert read_uleb(b"?" + uleb(value), 1) == (value, 1 + len(uleb(value)))


@pytest.mark.parametrize("value", [0, 1, -1, 63, 64, -64, -65, 5000, -(1 << 40)])
def test_signed_numbers_are_read_back(value: int) -> None:
    assert read_sleb(sleb(value), 0) == (value, len(sleb(value)))


def test_a_number_without_end_is_refused() -> None:
    with pytest.raises(IndexError):
        read_uleb(b"\x80" * 100, 0)


def test_an_entry_has_its_range_and_program() -> None:
    section = Section()
    section.fde(section.cie(), 0x2000, 0x30, OFFSET_16)
    ((start, end, cie, program),) = read_entries(section.built())
    assert (start, end) == (0x2000, 0x2030)
    assert program.rstrip(b"\0") == OFFSET_16
    assert cie is not None
    assert (cie.code_align, cie.data_align, cie.return_register) == (1, -8, 16)
    assert cie.program.rstrip(b"\0") == USUAL_INIT


def test_entries_of_several_cies_find_their_own() -> None:
    section = Section()
    first, second = section.cie(), section.cie(data_align=-4)
    section.fde(second, 0x2000, 1)
    section.fde(first, 0x3000, 1)
    aligns = [cie.data_align for _, _, cie, _ in read_entries(section.built()) if cie]
    assert aligns == [-4, -8]


def test_personality_and_lsda_are_skipped() -> None:
    section = Section()
    cie = section.cie(b"zPLR", b"\x9b" + bytes(4) + b"\x1b\x1b")
    at = len(section.data) + 8
    body = struct.pack("<iI", 0x2000 - ADDRESS - at, 0x10) + b"\x04" + bytes(4) + OFFSET_16
    section.raw_fde(cie, body)
    ((start, end, _, program),) = read_entries(section.built())
    assert (start, end) == (0x2000, 0x2010)
    assert program.rstrip(b"\0") == OFFSET_16


def test_signal_frames_are_ordinary_entries() -> None:
    section = Section()
    section.fde(section.cie(b"zRS"), 0x2000, 0x10)
    assert ranges(section.built()) == [(0x2000, 0x2010)]


def test_absolute_addresses_without_augmentation() -> None:
    section = Section()
    section.raw_fde(section.cie(b"", b""), ABSOLUTE.pack(0x401000, 0x20) + OFFSET_16)
    ((start, end, _, program),) = read_entries(section.built())
    assert (start, end) == (0x401000, 0x401020)
    assert program.rstrip(b"\0") == OFFSET_16


@pytest.mark.parametrize("encoding", [0x00, 0x03, 0x04, 0x0B, 0x0C])
def test_fixed_encodings_are_read(encoding: int) -> None:
    form = {0: "<QQ", 3: "<II", 4: "<QQ", 0xB: "<ii", 0xC: "<qq"}[encoding]
    section = Section()
    section.raw_fde(section.cie(values=bytes((encoding,))), struct.pack(form, 0x2000, 8) + b"\0")
    assert ranges(section.built()) == [(0x2000, 0x2008)]


@pytest.mark.parametrize("encoding", [0x01, 0x30, 0x50, 0x9B, 0xFF])
def test_other_encodings_are_left_out(encoding: int) -> None:
    section = Section()
    section.raw_fde(section.cie(values=bytes((encoding,))), ABSOLUTE.pack(0x2000, 8) + b"\0")
    section.fde(section.cie(), 0x3000, 4)
    assert ranges(section.built()) == [(0x3000, 0x3004)]


def test_a_zero_length_ends_contents_of_unknown_size_only() -> None:
    section = Section()
    cie = section.cie()
    section.fde(cie, 0x2000, 1)
    section.terminator()
    section.fde(cie, 0x3000, 1)
    assert ranges(section.built()) == [(0x2000, 0x2001), (0x3000, 0x3001)]
    assert ranges(section.built(ends_at_zero=True)) == [(0x2000, 0x2001)]


@pytest.mark.parametrize(
    "broken",
    [
        {"version": 2},
        {"augmentation": b"eh"},
        {"augmentation": b"R"},
        {"init": bytes(5000)},
    ],
)
def test_an_entry_with_an_unreadable_cie_keeps_its_range(broken: dict[str, object]) -> None:
    section = Section()
    section.fde(section.cie(**broken), 0x2000, 0x10, OFFSET_16)  # type: ignore[arg-type]
    assert list(read_entries(section.built())) == [(0x2000, 0x2010, None, b"")]


def test_an_entry_that_points_at_no_cie_keeps_its_range() -> None:
    section = Section()
    section.cie()
    section.fde(3, 0x2000, 0x10)
    assert list(read_entries(section.built())) == [(0x2000, 0x2010, None, b"")]


@pytest.mark.parametrize("length", [b"\x20\0\0\0", b"\xf0\xff\xff\xff", b"\x02\0\0\0", b"\xff" * 4])
def test_a_length_beyond_the_section_ends_it(length: bytes) -> None:
    section = Section()
    section.fde(section.cie(), 0x2000, 1)
    section.data += length + bytes(12)
    with pytest.raises(MalformedCallFramesError):
        ranges(section.built())


def test_an_entry_with_a_length_of_64_bits_is_left_out() -> None:
    section = Section()
    cie = section.cie()
    section.fde(cie, 0x2000, 1)
    long = b"\xff" * 4 + struct.pack("<Q", 24)
    section.data += long + bytes(24)
    section.fde(cie, 0x3000, 1)
    assert ranges(section.built()) == [(0x2000, 0x2001), (0x3000, 0x3001)]
    section.data += long + bytes(23)
    with pytest.raises(MalformedCallFramesError):
        ranges(section.built())


def test_a_section_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiler.binary.call_frames.MAX_SECTION_BYTES", 100)
    with pytest.raises(MalformedCallFramesError):
        list(read_entries(CallFrameSection(bytes(101), 0)))
