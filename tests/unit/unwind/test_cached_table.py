from __future__ import annotations

import struct
from pathlib import Path

import pytest

from profiler import disk_cache
from profiler.binary.call_frames import MalformedCallFramesError
from profiler.binary.elf import Elf
from profiler.unwind import cached_table as module
from profiler.unwind.cached_table import cached_table


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EBPF_PROF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data() -> bytes:
    return Path("/bin/true").read_bytes()


def test_the_table_from_the_cache_is_the_same(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cached_table(Elf.from_bytes(data))
    assert made.rows
    monkeypatch.setattr(module, "compile_table", lambda *_: pytest.fail("compiled again"))
    assert cached_table(Elf.from_bytes(data)) == made


def with_other_byte(data: bytes, offset: int) -> Elf:
    return Elf.from_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])


@pytest.mark.parametrize("change", ["frames", "code", "entry", "section", "version"])
def test_other_code_has_another_table(
    data: bytes, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = Elf.from_bytes(data)
    made = cached_table(elf)
    monkeypatch.setattr(module, "compile_table", lambda *_: made)
    kept: list[object] = []
    monkeypatch.setattr(disk_cache, "write", lambda *entry: kept.append(entry))
    if change == "version":
        monkeypatch.setattr(module, "_CODE", b"another way")
        cached_table(elf)
    else:
        frames = elf.section(".eh_frame")
        assert frames is not None
        code = elf.offset_of(elf.code_ranges[0][0])
        offsets = {"frames": frames.offset + frames.size - 8, "code": code, "entry": 24}
        offsets["section"] = struct.unpack_from("<Q", data, 40)[0] + 64 + 8  # flags of the first
        cached_table(with_other_byte(data, offsets[change] or 0))
    assert len(kept) == 1


def test_malformed_frames_stay_an_error(data: bytes, folder: Path) -> None:
    frames = Elf.from_bytes(data).section(".eh_frame")
    assert frames is not None
    at = frames.offset
    bad = Elf.from_bytes(data[:at] + b"\xf0\xff\xff\x7f" + data[at + 4 :])
    for _ in range(2):
        with pytest.raises(MalformedCallFramesError):
            cached_table(bad)
    assert not folder.exists()
